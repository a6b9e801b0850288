package spool

import (
	"fmt"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

const (
	fillPercent = 0.9 // of a page: keys are added in order

	// What an earlier process wrote with a higher MaxBytes goes in portions of so many bytes,
	// one for each commit, so that callers who wait for a commit do not wait long.
	maxExcess = 4 << 20
)

// Commit implements delivery.Spool.
func (s *store) Commit(add []delivery.Record, remove []uint64) (dropped []delivery.Record, err error) {
	if s.displaced && len(add) > 0 {
		return nil, fmt.Errorf("spool: %s: %w", s.path(), errGone)
	}
	c := change{totals: s.totals}
	err = s.withDB(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			c = newChange(tx, totals{s.ownID, s.totals.records, s.totals.size})
			if err := c.remove(remove); err != nil {
				return err
			}
			most := max(s.max, sizeOnDisk(c.totals.records, c.totals.size)-maxExcess)
			for i := range add {
				if err := c.add(&add[i], most, s.policy); err != nil {
					return err
				}
			}
			return tx.Bucket(headBucket).Put(totalsKey, c.totals.encode())
		})
	})
	nothingLeft := len(add) == 0 && c.totals.records == 0 && !s.displaced // or renew would remove another's file
	switch {
	case err != nil && nothingLeft && isDiskFull(err):
		return nil, s.renew() // a disk that is full to the last page has no room even to note removals
	case err != nil:
		return nil, err
	}
	s.totals, s.faulty = c.totals, false
	if nothingLeft && s.isLarge() && s.renew() != nil {
		_ = s.openFile() // if this fails too, the next use of the store does
	}
	return c.dropped, nil
}

// isLarge reports whether the file would be made anew if it had no records.
func (s *store) isLarge() bool {
	info, err := s.file.Stat()
	return err == nil && info.Size() > maxEmptyFile
}

// renew puts a new file in place of one without records that are still needed.
func (s *store) renew() error {
	s.closeDB()
	if err := os.Remove(s.path()); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.totals = totals{id: s.totals.id}
	return s.openFile()
}

// change is one commit in the making.
type change struct {
	explicit, automatic bucket
	totals              totals
	dropped             []delivery.Record
}

// bucket holds the records of one kind.
type bucket struct {
	*bolt.Bucket

	from uint64 // no record has a lower key
}

// first returns the first record. It does not look before from: bbolt removes emptied
// pages only at the end of the commit.
func (b *bucket) first() (k, value []byte) { return b.Cursor().Seek(appendKey(nil, b.from)) }

func newChange(tx *bolt.Tx, t totals) change {
	c := change{explicit: bucket{Bucket: tx.Bucket(explicitBucket)}, automatic: bucket{Bucket: tx.Bucket(automaticBucket)}, totals: t}
	c.explicit.FillPercent, c.automatic.FillPercent = fillPercent, fillPercent
	return c
}

func (c *change) remove(keys []uint64) error {
	var buf []byte
	for _, key := range keys {
		buf = appendKey(buf[:0], key)
		for _, b := range []*bucket{&c.explicit, &c.automatic} {
			value := b.Get(buf)
			if value == nil {
				continue
			}
			c.subtract(value)
			if err := b.Delete(buf); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// subtract takes a removed record out of the totals.
func (c *change) subtract(value []byte) {
	c.totals.records--
	c.totals.size -= int64(bodySize(value))
}

// add adds a record, and makes room for it with DropOldest, so that at most so many bytes
// are on disk. A record without room is dropped. With Reject the client hands over only
// what has room, but the file may hold more than the client knows.
func (c *change) add(r *delivery.Record, most int64, policy Policy) error {
	size := int64(len(r.Body))
	for sizeOnDisk(c.totals.records+1, c.totals.size+size) > most {
		made := false
		if policy == DropOldest {
			var err error
			if made, err = c.makeRoom(r.Automatic); err != nil {
				return err
			}
		}
		if !made {
			c.dropped = append(c.dropped, *r)
			return nil
		}
	}
	b := &c.explicit
	if r.Automatic {
		b = &c.automatic
	}
	b.from = min(b.from, r.Key)
	c.totals.records++
	c.totals.size += size
	return b.Put(appendKey(nil, r.Key), encodeRecord(r))
}

// makeRoom drops the oldest automatic record. If there is none, it drops the oldest
// explicit record, but only for another explicit one. It reports whether it dropped
// any.
func (c *change) makeRoom(automatic bool) (bool, error) {
	b := &c.automatic
	k, value := b.first()
	if k == nil && !automatic {
		b = &c.explicit
		k, value = b.first()
	}
	if k == nil {
		return false, nil
	}
	key, err := parseKey(k)
	if err != nil || b.Get(k) == nil {
		return false, fmt.Errorf("%w: keys out of order", errCorrupt)
	}
	c.dropped = append(c.dropped, readRecord(key, value))
	c.subtract(value)
	b.from = key + 1
	return true, b.Delete(slices.Clone(k))
}
