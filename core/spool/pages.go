package spool

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"math"
)

// A file of bbolt consists of pages. Each begins with its own number (8 bytes), its kind (2), how
// many elements it has (2), and how many pages it goes on for (4). An element of a branch page
// has 16 bytes, the last 8 of which are the number of a page below it.
const (
	pageHead = 16
	elemSize = 16

	branchPage   = 1
	leafPage     = 2
	freelistPage = 16
)

// meta is one of the two pages that name the last two commits.
type meta struct {
	pageSize                  int64
	root, freelist, count, tx uint64 // count is of pages
	alone                     bool   // the other page is damaged
}

// readAt fills b. A file that is too short for that is damaged, but a failed read is the system's
// error, and may succeed later.
func readAt(f io.ReaderAt, b []byte, at int64) error {
	_, err := f.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		return errDamaged
	}
	return err //nolint:wrapcheck // explain does
}

// readMeta reads a meta page, which must be whole, and bbolt's.
func readMeta(f io.ReaderAt, at int64) (meta, error) {
	const size, magic, version = 56, 0xED0CDAED, 2 // size is of what the checksum covers
	var b [size + 8]byte
	if err := readAt(f, b[:], at+pageHead); err != nil {
		return meta{}, err
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:size])
	e := binary.NativeEndian
	if e.Uint32(b[:]) != magic || e.Uint32(b[4:]) != version || sum.Sum64() != e.Uint64(b[size:]) {
		return meta{}, errDamaged
	}
	return meta{
		pageSize: int64(e.Uint32(b[8:])), root: e.Uint64(b[16:]), freelist: e.Uint64(b[32:]), count: e.Uint64(b[40:]), tx: e.Uint64(b[48:]),
	}, nil
}

// lastMeta returns the page of the last whole commit, which is the one that bbolt uses.
func lastMeta(f io.ReaderAt, pageSize int64) (meta, error) {
	first, err := readMeta(f, 0)
	if err != nil && !errors.Is(err, errDamaged) {
		return meta{}, err
	}
	second, err2 := readMeta(f, pageSize)
	first.alone, second.alone = err2 != nil, err != nil
	if err == nil && (errors.Is(err2, errDamaged) || err2 == nil && second.tx < first.tx) {
		return first, nil
	}
	return second, err2
}

// checkMetas refuses a file that does not list its free pages, as ours do. bbolt would look at all
// pages, with a goroutine of its own that panics over a damaged one, which nobody can catch.
func checkMetas(f io.ReaderAt) error {
	const none, farthest = math.MaxUint64, 16 << 20
	for at := int64(0); at <= farthest; at = max(2*at, 1024) { // where bbolt looks for the size of pages
		m, err := readMeta(f, at)
		if errors.Is(err, errDamaged) {
			continue
		}
		if err == nil {
			m, err = lastMeta(f, m.pageSize)
		}
		if err == nil && m.freelist == none {
			err = errDamaged
		}
		return err
	}
	return nil
}

// checkPages refuses a file of which a page is in use twice, or both in use and free, or is not of
// the kind that it should be. A disk that loses a write leaves in a page what an earlier commit
// put there, and bbolt believes it: it follows a page that leads back to one above until the
// stack or the memory ends, which nobody can catch, and it overwrites pages in use.
func checkPages(f io.ReaderAt, m meta, fileSize int64) error {
	size, all := uint64(m.pageSize), uint64(fileSize) //nolint:gosec // neither is negative
	p := pages{file: f, size: size, count: min(m.count, all/size)}
	p.claimed, p.leaves = newSet(p.count), newSet(p.count)
	if err := p.checkFreelist(m.freelist); err != nil {
		return err
	}
	if err := p.checkBuckets(m.root); err != nil {
		return err
	}
	return p.checkLeaves()
}

// pages are those of a file. Each may be claimed once: by what uses it, or as free.
type pages struct {
	file    io.ReaderAt
	size    uint64 // of each
	count   uint64
	claimed set
	leaves  set // that are still to be read
}

// set is a set of page numbers.
type set []uint64

func newSet(count uint64) set    { return make(set, count/64+1) }
func (s set) has(id uint64) bool { return s[id/64]&(1<<(id%64)) != 0 }
func (s set) add(id uint64)      { s[id/64] |= 1 << (id % 64) }

// claim notes that n pages are in use, or free. It refuses those that are claimed already, or not in the file.
func (p *pages) claim(id, n uint64) error {
	if id < 2 || id > p.count || n > p.count-id {
		return errDamaged
	}
	for last := id + n; id < last; id++ {
		if p.claimed.has(id) {
			return errDamaged
		}
		p.claimed.add(id)
	}
	return nil
}

// page is the head of a page.
type page struct {
	id, more       uint64
	kind, elements uint16
}

func parsePage(b []byte) page {
	e := binary.NativeEndian
	return page{id: e.Uint64(b), kind: e.Uint16(b[8:]), elements: e.Uint16(b[10:]), more: uint64(e.Uint32(b[12:]))}
}

// fill reads pages into b.
func (p *pages) fill(b []byte, id uint64) error {
	return readAt(p.file, b, int64(id*p.size)) //nolint:gosec // it is in the file
}

// read reads a page, and claims it. It also returns what follows the head, up to the
// end of the first page: only that of a list of free pages is needed beyond.
func (p *pages) read(id uint64) (page, []byte, error) {
	if id >= p.count {
		return page{}, nil, errDamaged
	}
	b := make([]byte, p.size)
	if err := p.fill(b, id); err != nil {
		return page{}, nil, err
	}
	is := parsePage(b)
	if is.id != id || p.claim(id, 1+is.more) != nil {
		return page{}, nil, errDamaged
	}
	if is.more > 0 && is.kind == freelistPage {
		b = make([]byte, (1+is.more)*p.size)
		if err := p.fill(b, id); err != nil {
			return page{}, nil, err
		}
	}
	return is, b[pageHead:], nil
}

// checkFreelist checks the list of free pages, and claims them.
func (p *pages) checkFreelist(id uint64) error {
	list, b, err := p.read(id)
	if err != nil {
		return err
	}
	if list.kind != freelistPage {
		return errDamaged
	}
	n := uint64(list.elements)
	if n == math.MaxUint16 { // too small a field for more
		n, b = binary.NativeEndian.Uint64(b), b[8:]
	}
	if n > uint64(len(b)/8) {
		return errDamaged
	}
	for ; n > 0; n, b = n-1, b[8:] {
		id := binary.NativeEndian.Uint64(b)
		if id >= p.count {
			continue // it was cut off, and is made again when it is used
		}
		if err := p.claim(id, 1); err != nil {
			return err
		}
	}
	return nil
}

// checkBuckets checks the page that names the buckets, and their trees. Our few are in a single
// leaf. An element has the position and size of the bucket's name at bytes 4 and 8, and after the
// name comes the root of its tree. A small bucket has none: a leaf without a number follows.
func (p *pages) checkBuckets(id uint64) error {
	root, b, err := p.read(id)
	if err != nil {
		return err
	}
	if root.kind != leafPage {
		return errDamaged
	}
	const inline = 16 // where that leaf begins
	for i := range uint64(root.elements) {
		at := i * elemSize
		if at+elemSize > uint64(len(b)) {
			return errDamaged
		}
		at += uint64(binary.NativeEndian.Uint32(b[at+4:])) + uint64(binary.NativeEndian.Uint32(b[at+8:]))
		if at+inline+pageHead > uint64(len(b)) {
			return errDamaged
		}
		tree := binary.NativeEndian.Uint64(b[at:])
		switch {
		case tree != 0:
			depth := 0
			err = p.checkTree(tree, 1, &depth)
		case parsePage(b[at+inline:]).kind != leafPage:
			err = errDamaged
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTree checks a page at a level of a tree, and those below it. All leaves are at the level
// depth, which is 0 until the first is found.
func (p *pages) checkTree(id uint64, level int, depth *int) error {
	if level == *depth {
		if err := p.claim(id, 1); err != nil {
			return err
		}
		p.leaves.add(id)
		return nil
	}
	is, b, err := p.read(id)
	switch {
	case err != nil:
		return err
	case is.elements == 0: // an empty bucket has no tree
		return errDamaged
	case is.kind == leafPage && *depth == 0:
		*depth = level
		return nil
	case is.kind != branchPage || int(is.elements)*elemSize > len(b):
		return errDamaged
	}
	for i := range int(is.elements) {
		if err := p.checkTree(binary.NativeEndian.Uint64(b[i*elemSize+8:]), level+1, depth); err != nil {
			return err
		}
	}
	return nil
}

// checkLeaves checks the heads of the leaves that were found, in the order of the disk. To read
// all that is between them costs less than a read for each. Once that cannot be read, they are
// read alone.
func (p *pages) checkLeaves() error {
	const portion = 256 << 10
	most := max(1, portion/p.size)
	buf := make([]byte, most*p.size)
	var b []byte           // what was read
	var first, next uint64 // page in b, and after it
	for id := range p.count {
		if !p.leaves.has(id) {
			continue
		}
		if id >= next {
			first, next = id, min(id+most, p.count)
			b = buf[:(next-first)*p.size]
			err := p.fill(b, first)
			if err != nil && most > 1 {
				most, next = 1, first+1
				err = p.fill(b[:p.size], first)
			}
			if err != nil {
				return err
			}
		}
		leaf := parsePage(b[(id-first)*p.size:])
		if leaf.id != id || leaf.kind != leafPage || leaf.elements == 0 {
			return errDamaged
		}
		if err := p.claim(id+1, leaf.more); err != nil {
			return err
		}
	}
	return nil
}
