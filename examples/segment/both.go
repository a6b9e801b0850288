package main

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"time"

	analytics "gopkg.in/segmentio/analytics-go.v3"

	klime "github.com/klimeapp/klime-go/core"
)

// both tells Segment and Klime the same while the app moves. Either can be taken out
// later without a change in the rest of the app.
type both struct {
	segment analytics.Client
	klime   *klime.Client
}

// track tells both, under one message ID and timestamp, so that what has arrived
// can be compared event by event.
func (b both) track(ctx context.Context, userID, groupID, event string, properties map[string]any) error {
	id, now := rand.Text(), time.Now()
	toSegment := analytics.Track{
		MessageId: id, Timestamp: now, UserId: userID, Event: event,
		Properties: maps.Clone(properties), // Segment reads it later
	}
	opts := []klime.EventOption{klime.ForUser(userID), klime.At(now), klime.WithMessageID(id)}
	if groupID != "" { // InGroup("") is an error: most likely somebody forgot the group
		toSegment.Context = &analytics.Context{Extra: map[string]any{"groupId": groupID}}
		opts = append(opts, klime.InGroup(groupID))
	}
	return errors.Join(b.segment.Enqueue(toSegment), b.klime.Track(ctx, event, properties, opts...))
}

// link tells both who the user is, and of which company.
func (b both) link(ctx context.Context, user klime.User, group klime.Group) error {
	err := b.segment.Enqueue(analytics.Identify{UserId: user.ID, Traits: analytics.Traits(maps.Clone(user.Traits))})
	if group.ID != "" { // Segment refuses a group without an ID
		toSegment := analytics.Group{UserId: user.ID, GroupId: group.ID, Traits: analytics.Traits(maps.Clone(group.Traits))}
		err = errors.Join(err, b.segment.Enqueue(toSegment))
	}
	return errors.Join(err, b.klime.Link(ctx, user, group))
}

// shutdown delivers what is left to both. Segment's Close has no time limit, so shutdown
// does not wait for it after ctx has ended.
func (b both) shutdown(ctx context.Context) error {
	closed := make(chan error, 1)
	go func() { closed <- b.segment.Close() }()
	err := b.klime.Shutdown(ctx)
	select {
	case other := <-closed:
		return errors.Join(err, other)
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}
