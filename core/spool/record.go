package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// A record's value is a header and the event's JSON:
//
//	0   1 byte   format
//	1   1 byte   flags
//	2   2 bytes  how many requests have carried the event, at most 65535
//	4   4 bytes  CRC-32C of the key, bytes 0 to 3, and the body
//	8            the body
//
// Its key is the event's number, in 8 bytes. Numbers are big-endian. If the format changes, so
// must fileFormat: a version that does not know it must leave the whole file alone.
const (
	recordFormat = 1
	headerSize   = 8
	keySize      = 8

	flagAutomatic = 1
)

// overhead is the size of a record beyond its body, with bbolt's entry for it.
const overhead = headerSize + keySize + 16

// sizeOnDisk returns what records with bodies of so many bytes in all count against
// Options.MaxBytes.
func sizeOnDisk(records int, bodies int64) int64 { return bodies + int64(records)*overhead }

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant

// errDamaged says that a record or the totals are not what was written.
var errDamaged = errors.New("damaged record")

func appendKey(b []byte, key uint64) []byte { return binary.BigEndian.AppendUint64(b, key) }

func parseKey(b []byte) (uint64, error) {
	if len(b) != keySize {
		return 0, errDamaged
	}
	return binary.BigEndian.Uint64(b), nil
}

// encodeRecord returns the value of a record.
func encodeRecord(r *delivery.Record) []byte {
	b := make([]byte, headerSize, headerSize+len(r.Body))
	b[0] = recordFormat
	if r.Automatic {
		b[1] = flagAutomatic
	}
	binary.BigEndian.PutUint16(b[2:], uint16(min(r.Attempts, 1<<16-1))) //nolint:gosec // bounded, and never negative
	b = append(b, r.Body...)
	binary.BigEndian.PutUint32(b[4:], checksum(r.Key, b))
	return b
}

// decodeRecord reads a record. Its Body is a copy.
func decodeRecord(key uint64, value []byte) (delivery.Record, error) {
	if len(value) < headerSize || value[0] != recordFormat || value[1]&^flagAutomatic != 0 ||
		binary.BigEndian.Uint32(value[4:]) != checksum(key, value) {
		return delivery.Record{}, errDamaged
	}
	return delivery.Record{
		Key:       key,
		Body:      append([]byte(nil), value[headerSize:]...),
		Automatic: value[1]&flagAutomatic != 0,
		Attempts:  int(binary.BigEndian.Uint16(value[2:])),
	}, nil
}

// readRecord reads a record. If the record is damaged, its Body is zeros of the same
// size.
func readRecord(key uint64, value []byte) delivery.Record {
	r, err := decodeRecord(key, value)
	if err != nil {
		return delivery.Record{Key: key, Body: make([]byte, bodySize(value)), Damaged: true}
	}
	return r
}

func bodySize(value []byte) int { return max(0, len(value)-headerSize) }

func checksum(key uint64, value []byte) uint32 {
	var k [keySize]byte
	binary.BigEndian.PutUint64(k[:], key)
	sum := crc32.Update(0, castagnoli, k[:])
	sum = crc32.Update(sum, castagnoli, value[:4])
	return crc32.Update(sum, castagnoli, value[headerSize:])
}

// totals are the sums of a file's records. They are written in the same transaction.
type totals struct {
	id      uint64 // of the process that changed the file last
	records int
	size    int64 // of the bodies
}

// follows reports whether only the process with the ID own has changed the file since
// before. Then the file is as it was, or holds a commit that returned an error and was
// written all the same.
func (t totals) follows(before totals, own uint64) bool { return t == before || t.id == own }

const (
	totalsSize = 1 + 3*8 + 4
	fileFormat = 1
)

func (t totals) encode() []byte {
	b := make([]byte, 0, totalsSize)
	b = append(b, fileFormat)
	b = appendKey(b, t.id)
	b = appendKey(b, uint64(t.records)) //nolint:gosec // an amount
	b = appendKey(b, uint64(t.size))    //nolint:gosec // an amount
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeTotals(b []byte) (totals, error) {
	if len(b) > 0 && b[0] != fileFormat {
		return totals{}, errVersion
	}
	if len(b) != totalsSize || binary.BigEndian.Uint32(b[totalsSize-4:]) != crc32.Checksum(b[:totalsSize-4], castagnoli) {
		return totals{}, errDamaged
	}
	return totals{
		id:      binary.BigEndian.Uint64(b[1:]),
		records: int(binary.BigEndian.Uint64(b[9:])),    //nolint:gosec // an amount
		size:    int64(binary.BigEndian.Uint64(b[17:])), //nolint:gosec // an amount
	}, nil
}
