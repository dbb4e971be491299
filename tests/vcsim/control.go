package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// control is the second, plain HTTP door that only tests use. Every switch is a
// POST with its parameters in the query:
//
//	GET  /stats[?reset=1]      requests, bytes and faults per method
//	GET  /sessions             number of sessions
//	POST /expire[?method]      end all sessions, now or when that request comes
//	POST /delay?method&ms      before the simulator sees the request
//	POST /fault?method&type    answer with a vim25 fault, such as type=NoPermission
//	POST /status?method&code   answer with an HTTP status and a page that isn't SOAP
//	POST /drop?method[&after=1]  close the connection, before or after the effect
//	POST /task-delay?task&ms   let tasks take longer; a task is named as in its info, such as PowerOnVM_Task
//	POST /clear                forget all of the above
//	POST /maintenance?datastore&mode  the simulator has no method for it; mode as in a datastore's summary
//	POST /gone[?method]        close the port and all connections, now or when that request comes
//
// method is a SOAP method, "GET guestFile", "PUT guestFile" or "*"; count and
// skip say how many requests it holds for (default 1, 0: all; delays: all) and
// how many pass before.
type control struct {
	model  *simulator.Model
	server *simulator.Server
	wire   *wire
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", c.stats)
	mux.HandleFunc("GET /sessions", c.countSessions)
	for path, handle := range map[string]func(url.Values) error{
		"POST /expire":      c.expire,
		"POST /delay":       c.delay,
		"POST /fault":       c.fault,
		"POST /status":      c.status,
		"POST /drop":        c.drop,
		"POST /task-delay":  c.taskDelay,
		"POST /clear":       c.clear,
		"POST /maintenance": c.maintenance,
		"POST /gone":        c.gone,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(r.URL.Query()); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	return mux
}

func (c *control) stats(w http.ResponseWriter, r *http.Request) {
	reply(w, c.wire.take(r.URL.Query().Get("reset") == "1"))
}

func (c *control) countSessions(w http.ResponseWriter, _ *http.Request) {
	reply(w, len(c.sessions()))
}

func (c *control) sessions() []types.UserSession {
	// Only a session's view of the manager has the list.
	registry := c.model.Map()
	view := simulator.Session{Registry: simulator.NewRegistry(), Map: registry}
	manager, ok := view.Get(registry.SessionManager().Self).(*simulator.SessionManager)
	if !ok {
		return nil
	}
	return manager.SessionList
}

func (c *control) expire(query url.Values) error {
	return c.nowOrWhen(query, func() {
		ctx := &simulator.Context{Map: c.model.Map(), Session: new(simulator.Session)}
		for _, session := range c.sessions() {
			c.model.Map().SessionManager().TerminateSession(ctx, &types.TerminateSession{SessionId: []string{session.Key}})
		}
	})
}

func (c *control) maintenance(query url.Values) error {
	for _, entity := range c.model.Map().All("Datastore") {
		store, ok := entity.(*simulator.Datastore)
		if ok && store.Name == query.Get("datastore") {
			ctx := &simulator.Context{Map: c.model.Map(), Session: new(simulator.Session)}
			summary := store.Summary
			summary.MaintenanceMode = query.Get("mode")
			ctx.Update(store, []types.PropertyChange{{Name: "summary", Val: summary}})
			return nil
		}
	}
	return fmt.Errorf("there is no datastore %q", query.Get("datastore"))
}

func (c *control) gone(query url.Values) error {
	return c.nowOrWhen(query, func() {
		if err := c.server.Listener.Close(); err != nil {
			log.Print(err)
		}
		c.server.CloseClientConnections()
	})
}

// nowOrWhen does something at once, or when the request of a rule comes.
func (c *control) nowOrWhen(query url.Values, do func()) error {
	if query.Get("method") == "" {
		do()
		return nil
	}
	r, err := newRule(query, 1)
	if err != nil {
		return err
	}
	r.action, r.do = first, do
	c.wire.add(r)
	return nil
}

func (c *control) delay(query url.Values) error {
	r, err := newRule(query, 0)
	if err != nil {
		return err
	}
	ms, err := number(query, "ms", -1)
	if err != nil {
		return err
	}
	r.delay = time.Duration(ms) * time.Millisecond
	c.wire.add(r)
	return nil
}

func (c *control) status(query url.Values) error {
	r, err := newRule(query, 1)
	if err != nil {
		return err
	}
	r.action = answer
	if r.status, err = number(query, "code", http.StatusServiceUnavailable); err != nil {
		return err
	}
	c.wire.add(r)
	return nil
}

func (c *control) drop(query url.Values) error {
	r, err := newRule(query, 1)
	if err != nil {
		return err
	}
	r.action = dropBefore
	if query.Get("after") == "1" {
		r.action = dropAfter
	}
	c.wire.add(r)
	return nil
}

func (c *control) fault(query url.Values) error {
	r, err := newRule(query, 1)
	if err != nil {
		return err
	}
	kind, ok := types.TypeFunc()(query.Get("type"))
	if !ok {
		return fmt.Errorf("no fault is called %q", query.Get("type"))
	}
	fault, ok := reflect.New(kind).Interface().(types.BaseMethodFault)
	if !ok {
		return fmt.Errorf("%s isn't a fault", kind.Name())
	}
	c.model.Service.AddFaultRule(&simulator.FaultInjectionRule{
		MethodName:  r.method,
		ObjectType:  "*",
		ObjectName:  "*",
		Probability: 1,
		FaultType:   simulator.FaultTypeCustom,
		Fault:       fault,
		Message:     query.Get("message"),
		MaxCount:    r.count,
		SkipCount:   r.skip,
		Enabled:     true,
	})
	return nil
}

func (c *control) taskDelay(query url.Values) error {
	ms, err := number(query, "ms", -1)
	if err != nil {
		return err
	}
	// Replaced as a whole: tasks read it without a lock. Without the hand-off
	// other calls may look at the object while its task waits.
	delays := map[string]int{"LockHandoff": 0, query.Get("task"): ms}
	for task, delay := range simulator.TaskDelay.MethodDelay {
		if _, given := delays[task]; !given {
			delays[task] = delay
		}
	}
	simulator.TaskDelay.MethodDelay = delays
	return nil
}

func (c *control) clear(url.Values) error {
	c.wire.clear()
	c.model.Service.ClearFaultRules()
	simulator.TaskDelay.MethodDelay = nil
	return nil
}

func newRule(query url.Values, count int) (*rule, error) {
	if query.Get("method") == "" {
		return nil, fmt.Errorf("method is missing")
	}
	r := &rule{method: query.Get("method")}
	var err error
	if r.count, err = number(query, "count", count); err != nil {
		return nil, err
	}
	r.skip, err = number(query, "skip", 0)
	return r, err
}

// number reads a parameter that isn't negative; otherwise is its default, and a
// negative default says that it must be there.
func number(query url.Values, name string, otherwise int) (int, error) {
	text := query.Get(name)
	if text == "" && otherwise >= 0 {
		return otherwise, nil
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 0 {
		return 0, fmt.Errorf("%s must be a number that isn't negative, not %q", name, text)
	}
	return value, nil
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
