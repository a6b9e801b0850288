// Package e2e holds tests that put clients of Klime which this project did not
// write beside its own: see README.md. It has no code for others to import.
package e2e
