package spool

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// The oldest records make room, automatic ones first. An explicit record never makes
// room for an automatic one.
func TestMaxBytes(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, t.TempDir(), Options{MaxBytes: 1 << 20})
	const size = 10_000 // about a hundred of them fit
	if dropped := commit(t, s, append(records(1, 50, false, size), records(51, 90, true, size)...)); len(dropped) != 0 {
		t.Errorf("dropped %d while there was room", len(dropped))
	}
	dropped := commit(t, s, records(91, 120, false, size))
	if len(dropped) == 0 || dropped[0].Key != 51 {
		t.Errorf("dropped %d, not the oldest automatic one first", len(dropped))
	}
	dropped = append(dropped, commit(t, s, records(121, 200, false, size))...)
	for i := range 40 {
		if dropped[i].Key != uint64(51+i) || !dropped[i].Automatic {
			t.Fatalf("dropped as number %d: %d", i, dropped[i].Key)
		}
	}
	if dropped[40].Key != 1 || dropped[40].Automatic {
		t.Errorf("then dropped %d", dropped[40].Key)
	}
	before := keys(t, s)
	if dropped := commit(t, s, records(201, 201, true, size)); len(dropped) != 1 || dropped[0].Key != 201 {
		t.Errorf("an automatic one among explicit ones: dropped %+v", dropped)
	}
	if got := keys(t, s); !same(got, before) {
		t.Error("it made room all the same")
	}
	if n, bytes, _, _ := s.Kept(); n != len(before) || bytes > 1<<20 {
		t.Errorf("kept %d, %d bytes", n, bytes)
	}
	for range 100 { // the file stays within about twice MaxBytes
		commit(t, s, records(202, 300, false, size), rangeOf(202, 300)...)
	}
	if info, err := os.Stat(s.path()); err != nil || info.Size() > 6<<20 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

// With Reject nothing on disk is removed, and the client is told beforehand what fits.
func TestReject(t *testing.T) {
	t.Parallel()
	s, storage := attached(t, t.TempDir(), Options{MaxBytes: 1 << 20, WhenFull: Reject}, slog.DiscardHandler)
	const body = 10_000
	fit := func(automatic bool) (n int) {
		for storage.Fits(n+1, (n+1)*body, automatic) {
			n++
		}
		return n
	}
	if n := fit(false); n != 1<<20/(body+overhead) {
		t.Errorf("%d explicit records fit", n)
	}
	if n := fit(true); n != 1<<20/5*4/(body+overhead) {
		t.Errorf("%d automatic records fit", n)
	}
	commit(t, s, append(records(1, 50, true, body), records(51, 90, false, body)...))
	dropped := commit(t, s, records(91, 120, false, body))
	kept := keys(t, s)
	if len(kept) < 100 || !same(kept, rangeOf(1, uint64(len(kept)))) || len(kept)+len(dropped) != 120 {
		t.Errorf("kept %v, dropped %d", kept, len(dropped))
	}
	for i, r := range dropped {
		if want := uint64(len(kept) + i + 1); r.Key != want {
			t.Errorf("dropped %d, want %d", r.Key, want)
		}
	}
}

// A folder that was filled with a higher MaxBytes keeps its events, even when it is
// deleted at run time.
func TestLowerBound(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	for _, policy := range []Policy{DropOldest, Reject} {
		dir := filepath.Join(t.TempDir(), "spool")
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 1500, false, 10_000))
		_ = s.Close()
		s, _ = opened(t, dir, Options{MaxBytes: 1 << 20, WhenFull: policy})
		must(t, os.RemoveAll(dir))
		mustReopen(t, s)
		if n := len(keys(t, s)); n != 1500 {
			t.Errorf("policy %d: %d of 1500 are left", policy, n)
		}
		var dropped []delivery.Record
		for key := uint64(1501); key <= 1506; key++ { // they give way bit by bit
			some := commit(t, s, records(key, key, false, 10_000))
			if bytes := len(some) * 10_000; bytes > maxExcess+20_000 {
				t.Errorf("policy %d: one commit dropped %d bytes", policy, bytes)
			}
			dropped = append(dropped, some...)
		}
		got := keys(t, s)
		switch n, kept, _, _ := s.Kept(); {
		case n != len(got) || n+len(dropped) != 1506:
			t.Errorf("policy %d: %d of %d kept, %d dropped", policy, n, len(got), len(dropped))
		case policy == DropOldest && (kept > 1<<20 || n < 100 || !same(got, rangeOf(uint64(1507-n), 1506))):
			t.Errorf("%d kept: %v", n, got)
		case policy == Reject && n != 1500:
			t.Errorf("%d kept with Reject", n)
		}
	}
}

// A record may be older than others on disk: it stayed in memory for longer. It is the
// first to make room all the same.
func TestOldRecordsAreDroppedFirst(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, t.TempDir(), Options{MaxBytes: 1 << 20})
	commit(t, s, records(500, 603, false, 10_000))
	dropped := commit(t, s, slices.Concat(records(604, 610, false, 10_000), records(1, 3, false, 10_000), records(611, 614, false, 10_000)))
	var got []uint64
	for _, r := range dropped {
		got = append(got, r.Key)
	}
	if want := slices.Concat(rangeOf(500, 507), rangeOf(1, 3), rangeOf(508, 510)); !same(got, want) {
		t.Errorf("dropped %v, want %v", got, want)
	}
}

// A large file without records is made anew: at once, or after a crash at the next start.
func TestEmptyFileIsMadeAnew(t *testing.T) {
	t.Parallel()
	for _, crash := range []bool{false, true} {
		dir := t.TempDir()
		s, log := opened(t, dir, Options{})
		commit(t, s, records(1, 200, false, 150_000))
		if info, err := os.Stat(s.path()); err != nil || info.Size() < maxEmptyFile {
			t.Fatalf("the test makes a file of %v", info)
		}
		if crash {
			err := s.db.Update(func(tx *bolt.Tx) error {
				c := newChange(tx, s.totals)
				return errors.Join(c.remove(rangeOf(1, 200)), tx.Bucket(headBucket).Put(totalsKey, c.totals.encode()))
			})
			must(t, err)
			_ = s.Close()
			s, log = opened(t, dir, Options{})
		} else {
			commit(t, s, nil, rangeOf(1, 200)...)
		}
		if info, err := os.Stat(s.path()); err != nil || info.Size() > 1<<20 || log.Len() > 0 {
			t.Errorf("crash %v: %d bytes, %v, log %s", crash, info.Size(), err, log)
		}
		commit(t, s, records(1, 10, false, 10))
		if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
			t.Errorf("crash %v: lost %v, writable %v, %v", crash, lost, writable, err)
		}
		_ = s.Close()
		s, _ = opened(t, dir, Options{})
		if got := keys(t, s); len(got) != 10 {
			t.Errorf("crash %v: %d records", crash, len(got))
		}
	}
}
