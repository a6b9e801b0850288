package delivery

// disk is the queue's account of the spool. A record is either on disk alone, or
// loaded: its item is in memory too, waiting or in flight. The queue's lock guards it.
type disk struct {
	fits    func(records, size int, automatic bool) bool // see Storage.Fits; nil if the spool makes room itself
	state   diskState                                    // only the keeper changes it, which may read it without the lock
	fault   error                                        // why the spool failed last; nil if it never has
	stalled bool                                         // the commit under way takes too long
	wake    chan struct{}                                // wakes the keeper

	urgent    []diskWrite // items to write, for each of which a caller waits
	spill     deque       // other items to write; they have left their lanes
	unwritten amount      // items to write, and those being written
	reserved  int         // records being taken over: they have keys, and are not accepted yet, but Flush waits for them

	kept      amount              // records of items that have not ended
	loaded    map[uint64]struct{} // keys of those whose items are in memory too
	inMemory  amount              // the items of loaded
	removing  map[uint64]struct{} // keys of records whose items have ended
	cursor    uint64              // no record with a lower key is on disk alone, except those being read now
	replay    deque               // loaded items that wait for a sender
	tokens    map[uint64]uint64   // by key, of items on disk alone
	forgotten []uint64            // tokens for which there was no room, whose owners are yet to be told Evicted
}

// diskState says what the spool can be used for.
type diskState int

const (
	noDisk   diskState = iota // there is no spool
	broken                    // nothing, until Reopen succeeds
	readOnly                  // records can be read, and perhaps removed, but not added
	working
)

// newDisk returns the account of a spool and enters what is in it into the queue's
// counts.
func newDisk(s *Storage, q *queue) *disk {
	if s.Spool == nil {
		return &disk{} // takes nothing and has nothing
	}
	records, size, last, err := s.Spool.Kept()
	q.accepted = uint64(records) //nolint:gosec // an amount
	q.recovered = q.accepted
	q.lastSeq = last
	return &disk{
		state:    working,
		fault:    err,
		fits:     s.Fits,
		wake:     make(chan struct{}, 1),
		kept:     amount{records, size},
		loaded:   map[uint64]struct{}{},
		removing: map[uint64]struct{}{},
		tokens:   map[uint64]uint64{},
	}
}

func (d *disk) wakeKeeper() { signal(d.wake) }

// readable reports whether records can at least be read.
func (d *disk) readable() bool { return d.state >= readOnly }

// writable reports whether records can be added now.
func (d *disk) writable() bool { return d.state == working && !d.stalled }

// takes reports whether the disk can take an item now.
func (d *disk) takes(it *Item) bool {
	return d.writable() && d.unwritten.items < maxUnwrittenItems && d.unwritten.bytes+len(it.Body) <= maxUnwrittenBytes && d.hasRoom(it)
}

// hasRoom reports whether the spool has room for an item. Records that wait to be
// removed do not count: they are removed before it is written.
func (d *disk) hasRoom(it *Item) bool {
	return d.fits == nil ||
		d.fits(d.kept.items+d.unwritten.items+1, d.kept.bytes+d.unwritten.bytes+len(it.Body), it.Automatic)
}

// declineReason says why a disk that works does not take an item.
func (d *disk) declineReason(it *Item) Outcome {
	if !d.hasRoom(it) {
		return SpoolFull
	}
	return SpoolBusy
}

// hasLoaded reports whether an item in memory is on disk too.
func (d *disk) hasLoaded(seq uint64) bool {
	_, is := d.loaded[seq]
	return is
}

// alone returns how many records are on disk alone.
func (d *disk) alone() int { return d.kept.items - d.inMemory.items }

// unload notes that an item is no longer in memory too.
func (d *disk) unload(it *Item) {
	delete(d.loaded, it.seq)
	d.inMemory.remove(it)
}

// settled schedules the removal of the record of an item that has ended.
func (d *disk) settled(it *Item) {
	if !d.hasLoaded(it.seq) {
		return
	}
	d.unload(it)
	d.kept.remove(it)
	if len(d.removing) == 0 || len(d.removing) >= maxRemovals {
		d.wakeKeeper()
	}
	d.removing[it.seq] = struct{}{}
}
