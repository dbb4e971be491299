// Command vcsim is the vCenter that the end-to-end tests talk to: govmomi's
// simulator with guests that run in containers, switches for what may go wrong,
// and a count of every request.
//
// It prints one line of JSON on standard output when it is ready and runs until
// a signal, or until standard input ends when started with -until-eof. It then
// removes its containers and images.
package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	_ "github.com/vmware/govmomi/pbm/simulator" // storage policies, at /pbm
	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // tags and content libraries, below /rest
	"github.com/vmware/govmomi/vim25/types"
)

type options struct {
	listen         string
	username       string
	password       string
	guestUsername  string
	guestPassword  string
	hosts          int
	machines       int
	datacenters    int
	clusters       int
	datastores     int
	pools          int
	portgroups     int
	opaque         int
	image          string
	templates      templates
	guestIP        bool
	exec           string
	sessionTimeout time.Duration
	apiVersion     string
	tlsNames       string
	untilEOF       bool
	trace          bool
}

// templates collects the values of a repeated -template.
type templates []string

func (t *templates) String() string { return strings.Join(*t, ",") }

func (t *templates) Set(value string) error {
	*t = append(*t, value)
	return nil
}

// ready is what the one line on standard output says.
type ready struct {
	URL              string `json:"url"`
	Username         string `json:"username"`
	Password         string `json:"password"`
	ThumbprintSHA1   string `json:"thumbprint_sha1"`
	ThumbprintSHA256 string `json:"thumbprint_sha256"`
	CA               string `json:"ca_pem"`
	Control          string `json:"control"`
	ID               string `json:"id"`
	PID              int    `json:"pid"`
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to serve on; port 0 picks a free one")
	flag.StringVar(&o.username, "username", "administrator@vsphere.local", "the only user who may log in")
	flag.StringVar(&o.password, "password", "vcsim-password", "that user's password")
	flag.StringVar(&o.guestUsername, "guest-username", "", "the only account that guests accept; empty: any")
	flag.StringVar(&o.guestPassword, "guest-password", "", "that account's password; empty: any")
	flag.IntVar(&o.hosts, "hosts", 1, "hosts per cluster")
	flag.IntVar(&o.machines, "vms", 1, "machines without a guest per pool; templates are made from one, so at least 1")
	flag.IntVar(&o.datacenters, "datacenters", 1, "datacenters (DC0, DC1, ...)")
	flag.IntVar(&o.clusters, "clusters", 1, "clusters per datacenter (DC0_C0, ...)")
	flag.IntVar(&o.datastores, "datastores", 1, "datastores (LocalDS_0, ...)")
	flag.IntVar(&o.pools, "pools", 0, "resource pools per cluster, besides its root pool")
	flag.IntVar(&o.portgroups, "portgroups", 1, "distributed port groups per datacenter (DC0_DVPG0, ...)")
	flag.IntVar(&o.opaque, "opaque-networks", 0, "networks of NSX per datacenter (DC0_NSX0, ...)")
	flag.StringVar(&o.image, "image", os.Getenv("VMWBUILD_TEST_IMAGE"), "container image of the guests")
	flag.Var(&o.templates, "template", "NAME[=IMAGE] of a template whose guest is a container; NAME may be a path below the\n"+
		"machine folder of DC0, or start with a datacenter: /DC1/vm/golden/base (default debian-template)")
	flag.BoolVar(&o.guestIP, "guest-ip", true, "guests report a made-up address; without, each first power-on takes 2.5 s longer")
	flag.StringVar(&o.exec, "exec", "podman", "how programs get into a guest: podman, or runc, which is quicker")
	flag.DurationVar(&o.sessionTimeout, "session-timeout", 0, "end sessions that were idle for so long; 0: never")
	flag.StringVar(&o.apiVersion, "api-version", "", "API version to advertise instead of the simulator's")
	flag.StringVar(&o.tlsNames, "tls-names", "127.0.0.1,localhost", "names and addresses in the certificate")
	flag.BoolVar(&o.untilEOF, "until-eof", false, "end when standard input ends")
	flag.BoolVar(&o.trace, "trace", false, "write every SOAP message to standard error")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "vcsim: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if len(o.templates) == 0 {
		o.templates = templates{"debian-template"}
	}

	log.SetPrefix("vcsim: ")
	if err := run(o); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.image == "" {
		return errors.New("no guest image: set VMWBUILD_TEST_IMAGE (tests/setup prints it) or give -image")
	}
	if o.machines < 1 || o.clusters < 1 || o.datacenters < 1 {
		return errors.New("-vms, -clusters and -datacenters must be at least 1: templates are made from the first machine")
	}

	if o.exec != "podman" && o.exec != "runc" {
		return fmt.Errorf("-exec must be podman or runc, not %q", o.exec)
	}

	// Asked for before anything is started: a signal may come at any time.
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	guests := newGuests(o.guestIP, o.exec)
	guests.sweep()

	simulator.Trace = o.trace
	model := simulator.VPX()
	model.Datacenter = o.datacenters
	model.Cluster = o.clusters
	model.ClusterHost = o.hosts
	model.Machine = o.machines
	model.Datastore = o.datastores
	model.Pool = o.pools
	model.Portgroup = o.portgroups
	model.OpaqueNetwork = o.opaque
	if o.apiVersion != "" {
		model.ServiceContent.About.ApiVersion = o.apiVersion
	}
	if err := model.Create(); err != nil {
		return fmt.Errorf("making the inventory: %w", err)
	}
	defer func() {
		// Guests first, and all at once: the model would stop them one by one.
		guests.remove()
		model.Remove()
	}()
	if err := makeTemplates(model, o); err != nil {
		return fmt.Errorf("making the templates: %w", err)
	}
	if o.sessionTimeout > 0 {
		model.Map().OptionManager().UpdateOptions(&types.UpdateOptions{ChangedValue: []types.BaseOptionValue{
			&types.OptionValue{Key: "config.vmacore.soap.sessionTimeout", Value: o.sessionTimeout.String()},
		}})
	}

	identity, err := newIdentity(strings.Split(o.tlsNames, ","))
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	service := model.Service
	service.RegisterEndpoints = true
	service.TLS = &tls.Config{Certificates: []tls.Certificate{identity.certificate}}
	service.Listen = &url.URL{Host: o.listen, User: url.UserPassword(o.username, o.password)}
	hooks := &hooks{guests: guests, guestUsername: o.guestUsername, guestPassword: o.guestPassword}
	model.Map().Handler = hooks.handle
	unlockGuestManagers(model.Map())

	server := service.NewServer()
	// No request has come yet: nobody knows the port.
	wire := newWire(server.Config.Handler)
	server.Config.Handler = wire

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for control: %w", err)
	}
	control := &control{model: model, server: server, wire: wire}
	go func() {
		if err := http.Serve(listener, control.routes()); err != nil {
			log.Printf("control: %v", err)
		}
	}()

	line, err := json.Marshal(ready{
		URL:              (&url.URL{Scheme: "https", Host: server.URL.Host, Path: server.URL.Path}).String(),
		Username:         o.username,
		Password:         o.password,
		ThumbprintSHA1:   identity.sha1,
		ThumbprintSHA256: identity.sha256,
		CA:               identity.ca,
		Control:          "http://" + listener.Addr().String(),
		ID:               guests.id,
		PID:              os.Getpid(),
	})
	if err != nil {
		return err
	}
	fmt.Println(string(line))

	if o.untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			ended <- syscall.SIGTERM
		}()
	}
	<-ended
	server.CloseClientConnections()
	return nil
}
