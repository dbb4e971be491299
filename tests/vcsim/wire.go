package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// rule is something that happens to the next requests of a method.
type rule struct {
	method string // as counted, or "*"
	skip   int    // requests that pass before
	count  int    // requests it happens to; 0: all
	delay  time.Duration
	action action
	status int
	do     func() // for first
}

type action int

const (
	pass       action = iota
	answer            // with an HTTP status and no SOAP
	dropBefore        // close the connection, nothing done
	dropAfter         // carry it out, then close the connection without an answer
	first             // do something, then carry it out
)

// counts is what one method has seen.
type counts struct {
	Requests int64 `json:"requests"`
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	Faults   int64 `json:"faults"`
}

// wire stands between the network and the simulator: it counts requests, and
// delays, refuses or drops them as told.
type wire struct {
	next http.Handler

	mu     sync.Mutex
	counts map[string]*counts
	rules  []*rule
}

func newWire(next http.Handler) *wire {
	return &wire{next: next, counts: make(map[string]*counts)}
}

// operation finds the method's name in a SOAP message: the first element of the
// body.
var operation = regexp.MustCompile(`<(?:[\w.-]+:)?Body\b[^>]*>\s*<(?:[\w.-]+:)?([\w.-]+)`)

// methodOf names a request: a SOAP method, or the HTTP method and the kind of path.
func methodOf(r *http.Request, body []byte) string {
	if found := operation.FindSubmatch(body); found != nil {
		return string(found[1])
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return r.Method + " " + kind
}

func (w *wire) ServeHTTP(res http.ResponseWriter, req *http.Request) {
	var body []byte
	soap := strings.HasPrefix(req.URL.Path, "/sdk") || strings.HasPrefix(req.URL.Path, "/pbm")
	if soap && req.Method == http.MethodPost {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			http.Error(res, err.Error(), http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	method := methodOf(req, body)
	// Before anything of the answer can reach the client: whoever has an answer,
	// or saw the connection end, may ask for the counts at once.
	w.arrived(method, max(int64(len(body)), req.ContentLength))
	delay, rule := w.apply(method)
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-req.Context().Done():
			return
		}
	}

	counting := &countingWriter{ResponseWriter: res, status: http.StatusOK}
	switch {
	case rule == nil:
		w.next.ServeHTTP(counting, req)
	case rule.action == answer:
		counting.WriteHeader(rule.status)
		_, _ = fmt.Fprintf(counting, "<html><body><h1>%d %s</h1></body></html>\n", rule.status, http.StatusText(rule.status))
	case rule.action == first:
		rule.do()
		w.next.ServeHTTP(counting, req)
	case rule.action == dropAfter:
		w.next.ServeHTTP(&discard{header: make(http.Header)}, req)
		drop(res)
	default:
		drop(res)
	}
	w.answered(method, counting)
}

// apply takes the rules that hold for this request: the sum of the delays, and
// the first of the others.
func (w *wire) apply(method string) (time.Duration, *rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var delay time.Duration
	var first *rule
	kept := w.rules[:0]
	for _, r := range w.rules {
		spent := false
		switch {
		case r.method != "*" && r.method != method, r.action != pass && first != nil:
		case r.skip > 0:
			r.skip--
		default:
			delay += r.delay
			if r.action != pass {
				first = r
			}
			if r.count > 0 {
				r.count--
				spent = r.count == 0
			}
		}
		if !spent {
			kept = append(kept, r)
		}
	}
	w.rules = kept
	return delay, first
}

func (w *wire) add(r *rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = append(w.rules, r)
}

func (w *wire) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = nil
}

func (w *wire) arrived(method string, in int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.of(method)
	c.Requests++
	c.BytesIn += in
}

func (w *wire) answered(method string, out *countingWriter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.of(method)
	c.BytesOut += out.bytes
	if out.status >= http.StatusBadRequest {
		c.Faults++
	}
}

// of returns the counts of a method; the lock is held.
func (w *wire) of(method string) *counts {
	c := w.counts[method]
	if c == nil {
		c = new(counts)
		w.counts[method] = c
	}
	return c
}

// take returns the counts so far, and starts anew when told to.
func (w *wire) take(reset bool) map[string]counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	copied := make(map[string]counts, len(w.counts))
	for method, c := range w.counts {
		copied[method] = *c
	}
	if reset {
		clear(w.counts)
	}
	return copied
}

// drop closes the connection of a request without an answer.
func drop(res http.ResponseWriter) {
	hijacker, ok := res.(http.Hijacker)
	if !ok {
		log.Print("this connection can't be dropped")
		return
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		log.Printf("dropping a connection: %v", err)
		return
	}
	_ = conn.Close()
}

type countingWriter struct {
	http.ResponseWriter
	bytes  int64
	status int
}

func (c *countingWriter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes += int64(n)
	return n, err
}

// discard takes the answer of a request whose connection will be dropped.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
