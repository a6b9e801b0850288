// Package spool keeps a client's events on disk, so that they outlive outages of
// Klime, deploys and crashes. Give what [Open] returns to a client as its
// Config.Spool; [github.com/klimeapp/klime-go/core.Client.Shutdown] closes it. The
// guide, with figures, is docs/spool.md.
//
// There are two modes. By default the disk takes what memory cannot keep: events
// that would have been pushed out of a full queue, those that could not be delivered
// within 3 s after Config.FlushInterval, and those that Shutdown could not deliver.
// No call waits for the disk, and as long as all goes well it is not touched. A crash
// loses the events that were only in memory: those of the last seconds, and those in
// requests under way, each of which lasts at most Config.Timeout. With
// [Options.WriteAhead] every event that the app tracks itself is on disk before the
// call returns.
//
// Events on disk are sent from the oldest on, at the same time as new ones, each at
// least once and with its original message ID. They are removed after Klime has
// accepted them, or refused them for good. After a crash the last events may be sent
// again: Klime recognises them by their message ID.
//
// A folder belongs to one process at a time, from Open to Shutdown: another's Open
// fails, and is not tried again. Processes that overlap, such as in a deploy, need
// [Options.Shared]. The lock file, klime-spool.lock, must not be removed. If another
// process has used the folder all the same, or it was replaced by another's, events of
// the other process are left alone: the next process that opens the folder sends them.
// What is in a file that was replaced or deleted is delivered for as long as the process
// has it open.
//
// The file of events is a bbolt database, in which each record has a checksum. A
// damaged file is renamed and never keeps the app from starting. While the disk is
// full, read-only or gone, events stay in memory as without a spool
// (Stats.SpoolDown), and the disk is tried again every 5 s.
//
// The size of the events on disk is limited: see [Options.MaxBytes] and
// [Options.WhenFull].
//
// Only programs that import this package link bbolt.
package spool
