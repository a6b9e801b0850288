//go:build !linux

package spool_test

func diskChild() {}

func permissionChild() {}
