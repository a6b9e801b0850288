// Package faults holds experiments that count every event: clients with all
// their parts against a network and a Klime that fail at random. It has no code for
// others to import. See docs/durability.md for how to run them.
package faults
