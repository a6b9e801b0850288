// Package uuid makes random UUIDs, as every event needs one: without a dependency, and
// without asking the operating system for each.
package uuid

import (
	"encoding/binary"
	"math/rand/v2"
)

// Append appends a random UUID (RFC 9562, version 4), made with the runtime's
// ChaCha8 generator, which the operating system seeds.
func Append(b []byte) []byte {
	const (
		version = 4 << 12         // in the low 16 bits of the high word
		variant = uint64(2) << 62 // at the top of the low word
	)
	hi := rand.Uint64()&^0xf000 | version
	lo := rand.Uint64()&^(3<<62) | variant
	var digits [32]byte
	binary.BigEndian.PutUint64(digits[0:], hexOf(hi>>32))
	binary.BigEndian.PutUint64(digits[8:], hexOf(hi))
	binary.BigEndian.PutUint64(digits[16:], hexOf(lo>>32))
	binary.BigEndian.PutUint64(digits[24:], hexOf(lo))
	text := [36]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	copy(text[:8], digits[:8])
	copy(text[9:13], digits[8:12])
	copy(text[14:18], digits[12:16])
	copy(text[19:23], digits[16:20])
	copy(text[24:], digits[20:])
	return append(b, text[:]...)
}

// hexOf returns the eight hexadecimal digits of v's low half, one in each byte.
func hexOf(v uint64) uint64 {
	v &= 0xffffffff
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f
	const ones = 0x0101010101010101     // 1 in each byte
	letters := (v + 6*ones) >> 4 & ones // 1 in each byte that is above 9
	return v + '0'*ones + ('a'-'0'-10)*letters
}

// New is [Append] as a string.
func New() string {
	const length = 36
	return string(Append(make([]byte, 0, length)))
}
