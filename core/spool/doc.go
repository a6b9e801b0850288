// Package spool keeps a client's events on disk, so that they outlive outages of
// Klime, deploys and crashes. Give what [Open] returns to a client as its
// Config.Spool; [github.com/klimeapp/klime-go/core.Client.Shutdown] closes it. The
// guide, with figures, is docs/durability.md.
//
// There are two modes. By default the disk takes what memory cannot: events that
// would have been pushed out of a full queue, those that could not be delivered
// within 3 s after Config.FlushInterval, and what Shutdown could not deliver.
// Nobody waits for the disk, and in good times it is not touched. A crash loses what
// was in memory alone: events of the last seconds, and those that a request was
// carrying, for as long as Config.Timeout. With [Options.WriteAhead] every event that the app
// tracks itself is on disk before the call returns.
//
// What is on disk is sent at least once, with the message ID that it had, from
// the oldest on, beside new events, and removed after Klime has accepted it, or
// refused it for good. After a crash the last events may be sent again: Klime knows
// them by their message ID.
//
// A folder belongs to one process at a time, from Open to Shutdown, in a fault too:
// it has a lock, klime-spool.lock, that is not to be removed. Should another
// process have used the file all the same, or the folder be replaced by another's,
// events that are there are left alone: they are sent by the next process that
// opens it. The one file of events is written by bbolt,
// each record has a checksum, and a file that is damaged is renamed aside:
// in no case does it keep the app from starting. While the disk is full, read-only or
// gone, events stay in memory as without a spool (Stats.SpoolDown), and it
// is tried again every 5 s.
//
// The events on disk are bounded: see [Options.MaxBytes] and [Options.WhenFull].
//
// Only programs that import this package link bbolt.
package spool
