// Package faults holds experiments that count every event: clients with all
// their parts against a network and a Klime that fail at random. It has no code for
// others to import. README.md says how to run them, and what came of it.
package faults
