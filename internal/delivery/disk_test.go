package delivery

import "testing"

// What waits to be written is bounded, and only a disk that works takes anything.
func TestDiskTakes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		disk disk
		want bool
	}{
		"the last item": {disk{state: working, unwritten: amount{items: maxUnwrittenItems - 1}}, true},
		"an item more":  {disk{state: working, unwritten: amount{items: maxUnwrittenItems}}, false},
		"the last byte": {disk{state: working, unwritten: amount{bytes: maxUnwrittenBytes - 5}}, true},
		"a byte more":   {disk{state: working, unwritten: amount{bytes: maxUnwrittenBytes - 4}}, false},
		"too slow":      {disk{state: working, stalled: true}, false},
		"full":          {disk{state: readOnly}, false},
		"broken":        {disk{state: broken}, false},
		"none":          {disk{}, false},
	} {
		if got := tt.disk.takes(&Item{Body: make([]byte, 5)}); got != tt.want {
			t.Errorf("%s: taken: %v", name, got)
		}
	}
}

// Whether there is room depends on all that is on disk or on its way there.
func TestDiskHasRoom(t *testing.T) {
	t.Parallel()
	for _, room := range []bool{false, true} {
		d := disk{kept: amount{3, 300}, unwritten: amount{2, 20}, fits: func(records, size int, automatic bool) bool {
			if records != 6 || size != 325 || !automatic {
				t.Errorf("asked for %d records of %d bytes, automatic: %v", records, size, automatic)
			}
			return room
		}}
		if got := d.hasRoom(&Item{Body: make([]byte, 5), Automatic: true}); got != room {
			t.Errorf("has room: %v, want %v", got, room)
		}
	}
}
