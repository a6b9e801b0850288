package spool

import (
	"errors"
	"slices"
	"strings"
)

// isDiskFull reports whether err goes away when somebody frees disk space.
func isDiskFull(err error) bool {
	return err != nil && !errors.Is(err, ErrInUse) && slices.ContainsFunc(fullErrors(), func(full error) bool {
		return errors.Is(err, full) || strings.HasSuffix(err.Error(), full.Error()) // bbolt hands on some errors as text alone
	})
}
