package spool

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Kept implements delivery.Spool.
func (s *store) Kept() (records, size int, last uint64, err error) {
	if s.db == nil { // the disk was full
		if err := s.open(true); err != nil {
			return 0, 0, 0, err
		}
	}
	err = guarded(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{explicitBucket, automaticBucket} {
				if k, _ := tx.Bucket(name).Cursor().Last(); k != nil {
					key, err := parseKey(k)
					if err != nil {
						return err
					}
					last = max(last, key)
				}
			}
			return nil
		})
	})
	if err != nil {
		s.broken = s.info
		s.abandonDB()
		err = fmt.Errorf("spool: %w", err)
	}
	return s.totals.records, int(s.totals.size), last, err
}

// Read implements delivery.Spool.
func (s *store) Read(from uint64, records, size int, skip func(uint64) bool) (read []delivery.Record, err error) {
	err = s.withDB(func() error {
		read, err = s.read(from, records, size, skip)
		return err
	})
	return read, err
}

// read is Read without a check that the file is still in place.
func (s *store) read(from uint64, records, size int, skip func(uint64) bool) (read []delivery.Record, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		m := newMerge(tx, from)
		for len(read) < records && size > 0 {
			k, value := m.next()
			if k == nil {
				return nil
			}
			key, err := parseKey(k)
			if err != nil || key < from {
				return fmt.Errorf("%w: keys out of order", errCorrupt)
			}
			from = key + 1
			if skip(key) {
				continue
			}
			if size -= bodySize(value); size < 0 && len(read) > 0 {
				return nil
			}
			read = append(read, readRecord(key, value))
		}
		return nil
	})
	return read, err
}

// merge iterates over both buckets in the order of keys.
type merge struct {
	cursors [2]*bolt.Cursor
	keys    [2][]byte
	values  [2][]byte
}

func newMerge(tx *bolt.Tx, from uint64) *merge {
	var m merge
	for i, name := range [][]byte{explicitBucket, automaticBucket} {
		m.cursors[i] = tx.Bucket(name).Cursor()
		m.keys[i], m.values[i] = m.cursors[i].Seek(appendKey(nil, from))
	}
	return &m
}

func (m *merge) next() (key, value []byte) {
	i := 0
	if m.keys[0] == nil || m.keys[1] != nil && bytes.Compare(m.keys[1], m.keys[0]) < 0 {
		i = 1
	}
	key, value = m.keys[i], m.values[i]
	if key != nil {
		m.keys[i], m.values[i] = m.cursors[i].Next()
	}
	return key, value
}
