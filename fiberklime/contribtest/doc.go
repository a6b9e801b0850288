// Package contribtest tests fiberklime with middlewares that need more modules than
// Fiber itself. It is a module of its own, so that no user has to download them.
package contribtest
