package spool

import (
	"bytes"
	"testing"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// A change of any bit of a record, or of its key, is detected.
func TestEveryBitOfARecordCounts(t *testing.T) {
	t.Parallel()
	r := delivery.Record{Key: 7, Body: []byte(`{"type":"track"}`), Automatic: true, Attempts: 3}
	value := encodeRecord(&r)
	if got, err := decodeRecord(7, value); err != nil || !bytes.Equal(got.Body, r.Body) || !got.Automatic || got.Attempts != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := decodeRecord(8, value); err == nil {
		t.Error("under another key")
	}
	for bit := range len(value) * 8 {
		value[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeRecord(7, value); err == nil {
			t.Errorf("bit %d is not noticed", bit)
		}
		value[bit/8] ^= 1 << (bit % 8)
	}
	for n := range value {
		if _, err := decodeRecord(7, value[:n]); err == nil {
			t.Errorf("%d bytes of it are taken", n)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(uint64(1), encodeRecord(&delivery.Record{Key: 1, Body: []byte(`{"type":"track","userId":"u1"}`)}))
	f.Add(uint64(2), encodeRecord(&delivery.Record{Key: 2, Automatic: true, Attempts: 70_000}))
	f.Add(uint64(3), []byte{recordFormat, 0, 0, 0})
	f.Add(uint64(0), []byte(nil))
	f.Fuzz(func(t *testing.T, key uint64, value []byte) {
		r, err := decodeRecord(key, value)
		if read := readRecord(key, value); read.Damaged != (err != nil) || len(read.Body) != bodySize(value) {
			t.Errorf("read as %+v", read)
		}
		if err == nil && !bytes.Equal(encodeRecord(&r), value) {
			t.Errorf("%x is read as %+v", value, r)
		}
		// Any body is read back as it was written.
		w := delivery.Record{Key: key, Body: value, Automatic: len(value)%2 == 0, Attempts: len(value)}
		back, err := decodeRecord(key, encodeRecord(&w))
		if err != nil || !bytes.Equal(back.Body, value) || back.Automatic != w.Automatic || back.Attempts != min(w.Attempts, 65535) {
			t.Errorf("%+v came back as %+v, %v", w, back, err)
		}
	})
}

func FuzzTotals(f *testing.F) {
	f.Add(totals{id: 1, records: 2, size: 3}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if found, err := decodeTotals(b); err == nil && !bytes.Equal(found.encode(), b) {
			t.Errorf("%x is read as %+v", b, found)
		}
	})
}
