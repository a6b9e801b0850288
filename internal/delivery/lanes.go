package delivery

// lanes are items that wait for the same thing. Automatic items have a lane of
// their own, as they are evicted first.
type lanes struct{ explicit, automatic deque }

func (l *lanes) laneFor(it *Item) *deque {
	if it.Automatic {
		return &l.automatic
	}
	return &l.explicit
}

func (l *lanes) len() int { return l.explicit.len() + l.automatic.len() }

func (l *lanes) bytes() int { return l.explicit.bytes + l.automatic.bytes }

// restore returns items to their lanes, in the order of seq.
func (l *lanes) restore(items []Item) {
	var explicit, automatic []Item
	for i := range items {
		if items[i].Automatic {
			automatic = append(automatic, items[i])
		} else {
			explicit = append(explicit, items[i])
		}
	}
	l.explicit.restore(explicit)
	l.automatic.restore(automatic)
}
