package klime_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"maps"
	"slices"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// pseudonyms returns a BeforeSend that puts a keyed hash in the place of user
// IDs, wherever they are: the same user always has the same pseudonym, and
// without the secret nobody can tell whose it is, nor try IDs out. Keep the
// secret: with another one all users are new ones.
func pseudonyms(secret []byte) func(*klime.Event) bool {
	return func(e *klime.Event) bool {
		if e.UserID == "" {
			return true // an event of a company alone
		}
		mac := hmac.New(sha256.New, secret)
		_, _ = mac.Write([]byte(e.UserID)) // a hash never fails to write
		e.UserID = hex.EncodeToString(mac.Sum(nil))[:32]
		return true
	}
}

// Klime is given pseudonyms in the place of user IDs. A pseudonym hides no more
// than the ID: here the traits that name the user are left out as well.
func ExampleConfig_pseudonyms() {
	pseudonym := pseudonyms([]byte("a secret of 32 bytes or more, from your vault"))
	recorder := klimetest.NewRecorder() // stands for Klime
	cfg := recorder.Config()            // in an app: klime.FromEnv()
	cfg.BeforeSend = func(e *klime.Event) bool {
		if e.Type == klime.IdentifyEvent {
			delete(e.Traits, "email")
			delete(e.Traits, "name")
		}
		return pseudonym(e)
	}
	client, err := klime.New(cfg)
	if err != nil {
		log.Print("no analytics: ", err)
	}

	ctx := context.Background()
	err = client.Link(ctx, klime.User{ID: "user_123", Traits: klime.Traits{"email": "jane@acme.com", "role": "owner"}},
		klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc"}})
	if err != nil {
		log.Print(err)
	}
	if err := client.Track(ctx, "Report Generated", nil, klime.ForUser("user_123"), klime.InGroup("org_abc")); err != nil {
		log.Print(err)
	}
	if err := client.Track(ctx, "Report Generated", nil, klime.ForUser("user_456")); err != nil {
		log.Print(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	for _, e := range recorder.Events() {
		fmt.Println(e.Type, e.UserID, e.GroupID, slices.Sorted(maps.Keys(e.Traits)))
	}
	// Output:
	// identify 30196da4412745638746f7a912960875  [role]
	// group 30196da4412745638746f7a912960875 org_abc [name]
	// track 30196da4412745638746f7a912960875 org_abc []
	// track c4d8c2c0441ef8511243ea4401698cbf  []
}

// Traits and properties that must not leave the house are dropped, whichever
// part of the app gives them.
func ExampleConfig_dropTraits() {
	private := []string{"email", "phone"}
	recorder := klimetest.NewRecorder() // stands for Klime
	cfg := recorder.Config()            // in an app: klime.FromEnv()
	cfg.BeforeSend = func(e *klime.Event) bool {
		for _, key := range private {
			delete(e.Traits, key)
			delete(e.Properties, key)
		}
		return true // false drops the event
	}
	client, err := klime.New(cfg)
	if err != nil {
		log.Print("no analytics: ", err)
	}

	ctx := context.Background()
	if err := client.Identify(ctx, "user_123", klime.Traits{"email": "jane@acme.com", "name": "Jane"}); err != nil {
		log.Print(err)
	}
	invited := klime.Properties{"email": "raj@acme.com", "role": "viewer"}
	if err := client.Track(ctx, "User Invited", invited, klime.ForUser("user_123")); err != nil {
		log.Print(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	for _, e := range recorder.Events() {
		fmt.Println(e.Type, e.Traits, e.Properties)
	}
	// Output:
	// identify map[name:Jane] map[]
	// track map[] map[role:viewer]
}
