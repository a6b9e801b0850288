// Package contribtest holds fiberklime together with what needs more modules
// than Fiber itself. It is a module of its own, so that they reach no user.
package contribtest
