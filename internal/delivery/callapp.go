package delivery

// CallApp calls code of the app, and reports whether that returned. It may also panic, or
// end its goroutine as FailNow does in a test's fake: so it gets one of its own.
func CallApp(call func()) (returned bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = recover() }()
		call()
		returned = true
	}()
	<-ended
	return returned
}
