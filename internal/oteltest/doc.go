// Package oteltest holds klime together with the real OpenTelemetry: its SDK, and
// the instrumentation of each framework. It is a module of its own, so that they
// reach no user.
package oteltest
