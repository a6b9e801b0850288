package faults_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// fault is how a request goes wrong: on its way, or in how it is answered.
type fault string

// What a request can meet.
const (
	calm fault = "none"

	// On its way: Klime does not see it.
	connectionRefused fault = "connection refused"
	nameNotFound      fault = "DNS failure"
	tlsUntrusted      fault = "TLS, unknown authority"
	tlsMissing        fault = "TLS, answered in plain text"
	tlsCut            fault = "TLS, handshake cut"
	proxyDenies       fault = "proxy answers 407"
	proxyFails        fault = "proxy answers 502"
	proxyGone         fault = "proxy refuses"

	// Answers that are none, or come late.
	resetUnread fault = "reset before it was read"
	hang        fault = "hangs"
	hangStored  fault = "hangs, has stored"
	slow        fault = "slow, byte by byte"
	cutHeader   fault = "cut in the header"
	cutBody     fault = "cut in the body"
	lastWord    fault = "connection closed after the answer"

	// Answers.
	serverError  fault = "5xx"
	storedError  fault = "5xx, has stored"
	timedOut     fault = "408 or 425"
	tooMany      fault = "429"
	partial      fault = "200 with errors"
	wrongIndices fault = "200 with errors of nothing"
	notJSON      fault = "200, not JSON"
	refusedNamed fault = "400 with errors"

	// Until somebody acts. Only before a Shutdown, as it is probed once a minute.
	halting fault = "401, 403, 404, 405, 302 or a web page"
)

// dealt are the faults of the ordinary weather.
func dealt() []fault {
	return []fault{
		connectionRefused, nameNotFound, tlsUntrusted, tlsMissing, tlsCut, proxyDenies, proxyFails, proxyGone,
		resetUnread, hang, hangStored, slow, cutHeader, cutBody, lastWord,
		serverError, storedError, timedOut, tooMany, partial, wrongIndices, notJSON, refusedNamed,
	}
}

// weather deals the faults: each of them for a burst of a few requests, then a few
// without, until all have had their turn; then it shuffles.
type weather struct {
	mu     sync.Mutex
	random *rand.Rand
	deck   []fault
	now    fault
	left   int   // requests until it changes
	fixed  fault // if not "", it does not change
	met    map[fault]int
}

func newWeather(seed uint64) *weather {
	return &weather{random: rand.New(rand.NewPCG(seed, 1)), now: calm, left: 2, met: map[fault]int{}}
}

// stay makes it that for all requests to come.
func (w *weather) stay(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fixed = f
}

// change goes back to changing weather.
func (w *weather) change() { w.stay("") }

// next deals for one request: what it meets, and a number that decides on the rest.
func (w *weather) next() (fault, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.fixed
	if f == "" {
		f = w.deal()
	}
	w.met[f]++
	return f, w.random.Uint64()
}

func (w *weather) deal() fault {
	for w.left == 0 {
		w.left = 1 + w.random.IntN(3)
		if w.now != calm {
			w.now = calm
			continue
		}
		if len(w.deck) == 0 {
			w.deck = dealt()
			w.random.Shuffle(len(w.deck), func(i, j int) { w.deck[i], w.deck[j] = w.deck[j], w.deck[i] })
		}
		w.now, w.deck = w.deck[0], w.deck[1:]
	}
	w.left--
	return w.now
}

// complete reports whether requests have met all that is dealt.
func (w *weather) complete() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.ContainsFunc(dealt(), func(f fault) bool { return w.met[f] == 0 })
}

// counted is how many requests met what.
func (w *weather) counted() map[fault]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.met)
}

// A draw travels from the network to the server in a header.
const faultHeader = "X-Fault"

func encodeDraw(f fault, number uint64) string {
	return strconv.FormatUint(number, 10) + " " + string(f)
}

func decodeDraw(header string) (fault, *rand.Rand) {
	number, f, _ := strings.Cut(header, " ")
	seed, _ := strconv.ParseUint(number, 10, 64)
	return fault(f), rand.New(rand.NewPCG(seed, 2))
}
