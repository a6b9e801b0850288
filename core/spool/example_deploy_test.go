package spool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
)

// deliverLeft delivers what processes that have ended left in the folders below dir.
func deliverLeft(ctx context.Context, dir string, cfg klime.Config) error {
	folders, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	var failed error
	for _, folder := range folders {
		disk, err := spool.Open(folder, spool.Options{})
		if errors.Is(err, spool.ErrInUse) {
			continue // its process lives, or is this one
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		cfg.Spool, cfg.MeterProvider = disk, nil // the figures are those of the app's own client
		client, err := klime.New(cfg)
		if err != nil {
			return errors.Join(err, disk.Close())
		}
		if err := client.Shutdown(ctx); err != nil { // what it cannot deliver stays in the folder
			return err
		}
	}
	return failed
}

// In a deploy, the new process starts before the old one has ended, with a folder of its own.
// Klime is down, so that the old one leaves events in its folder. The new one delivers them.
func Example_rollingDeploy() {
	dir, err := os.MkdirTemp("", "spool") // in an app, a folder that outlives the process, such as /var/lib/myapp/klime
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var klimeServer flaky
	cfg := klime.Config{Transport: &klimeServer}
	start := func(folder string) *klime.Client {
		cfg := cfg
		var err error
		if cfg.Spool, err = spool.Open(filepath.Join(dir, folder), spool.Options{}); err != nil {
			log.Print(err)
		}
		client, err := klime.New(cfg)
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

	older, newer := start("0"), start("1")
	if err := older.Track(context.Background(), "Report Generated", nil, klime.ForUser("user-7")); err != nil {
		log.Print(err)
	}
	end(older)
	fmt.Println("left:", older.Stats().Spooled)

	klimeServer.up.Store(true)
	cfg.OnSuccess = func(r klime.BatchResult) { fmt.Println("delivered:", r.Accepted) }
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := deliverLeft(ctx, dir, cfg); err != nil { // in an app, once a minute
		log.Print(err)
	}
	end(newer)

	// Output:
	// left: 1
	// delivered: 1
}
