package httpexchange

import (
	"reflect"
	"strconv"
	"testing"
)

// What is kept of a request fits into a size in which Go allocates; the next one takes
// longer.
func TestExchangeSize(t *testing.T) {
	t.Parallel()
	if size := reflect.TypeFor[exchange]().Size(); strconv.IntSize == 64 && size > 512 {
		t.Errorf("%d bytes, want at most 512", size)
	}
}
