package spool_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
)

// Klime is down while one process lives. The next one delivers its events.
func Example() {
	dir, err := os.MkdirTemp("", "spool") // in an app, a folder that outlives the process, such as /var/lib/myapp/klime
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	process := func(transport klime.Transport) {
		// After an error disk is nil, and the client works without a spool.
		disk, err := spool.Open(dir, spool.Options{})
		if err != nil {
			log.Print(err)
		}
		client, err := klime.New(klime.Config{Transport: transport, Spool: disk})
		if err != nil {
			log.Print(err)
		}
		if err := client.Track(context.Background(), "Report Generated", nil, klime.ForUser("user-7")); err != nil {
			log.Print(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond) // in an app, longer
		defer cancel()
		if err := client.Shutdown(ctx); err != nil {
			log.Print(err)
		}
		s := client.Stats()
		fmt.Printf("accepted %d (recovered %d), sent %d, on disk %d\n", s.Accepted, s.Recovered, s.Sent, s.Spooled)
	}
	var klimeServer flaky
	process(&klimeServer)
	klimeServer.up.Store(true)
	process(&klimeServer)

	// Output:
	// accepted 1 (recovered 0), sent 0, on disk 1
	// accepted 2 (recovered 1), sent 2, on disk 0
}

// An app that bills by events wants each of them on disk before it answers.
func ExampleOptions_writeAhead() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	disk, err := spool.Open(dir, spool.Options{WriteAhead: true})
	if err != nil {
		log.Print(err) // to bill without a disk may be worse than not to start
		return
	}
	client, err := klime.New(klime.Config{Transport: &flaky{}, Spool: disk})
	if err != nil {
		log.Print(err)
		return
	}
	err = client.Track(context.Background(), "Invoice Sent", klime.Properties{"cents": 4200}, klime.InGroup("acme"))
	fmt.Println("on disk:", err == nil, client.Stats().Spooled)

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	fmt.Println("shutdown:", client.Shutdown(ctx))

	// Output:
	// on disk: true 1
	// shutdown: <nil>
}

// In a deploy, the new process starts before the old one has ended. Both have the same
// folder. Klime is down, so that they leave events, which a later process delivers.
func ExampleOptions_shared() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	var klimeServer flaky
	start := func() *klime.Client {
		disk, err := spool.Open(dir, spool.Options{Shared: true})
		if err != nil {
			log.Print(err)
		}
		client, err := klime.New(klime.Config{Transport: &klimeServer, Spool: disk})
		if err != nil {
			log.Print(err)
		}
		return client
	}
	end := func(client *klime.Client) {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond) // in an app, longer
		defer cancel()
		if err := client.Shutdown(ctx); err != nil {
			log.Print(err)
		}
	}

	older, newer := start(), start()
	for _, client := range []*klime.Client{older, newer} {
		if err := client.Track(context.Background(), "Report Generated", nil, klime.ForUser("user-7")); err != nil {
			log.Print(err)
		}
		end(client)
	}

	klimeServer.up.Store(true)
	newest := start() // one that lives already looks once a minute
	for newest.Stats().Sent < 2 {
		time.Sleep(time.Millisecond)
	}
	end(newest)
	fmt.Println("delivered:", newest.Stats().Sent)

	// Output:
	// delivered: 2
}
