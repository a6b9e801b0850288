// Package e2e holds tests that compare this project's client with clients of Klime that
// others wrote: see README.md. It has no code for others to import.
package e2e
