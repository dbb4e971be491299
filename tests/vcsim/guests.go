package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// label marks the containers of every simulator; its value is the simulator's id.
const label = "vmwbuild.vcsim"

// guests keeps what the simulator doesn't: which containers and images are this
// simulator's, and what the file system of a machine holds when it is cloned.
type guests struct {
	id string

	mu     sync.Mutex
	images []string
	// frozen has the image made of a template, by the template's reference: a
	// template can't change until it is made a machine again.
	frozen map[types.ManagedObjectReference]string
}

// newGuests chooses the id and sets the environment of the `docker` command that
// the simulator calls.
func newGuests(ip bool, enter string) *guests {
	g := &guests{
		id:     fmt.Sprintf("p%d", os.Getpid()),
		frozen: make(map[types.ManagedObjectReference]string),
	}
	answer := "no"
	if ip {
		answer = "yes"
	}
	settings := map[string]string{
		"VMWBUILD_VCSIM_ID":       g.id,
		"VMWBUILD_VCSIM_GUEST_IP": answer,
		"VMWBUILD_VCSIM_EXEC":     enter,
	}
	// The simulator looks at each container every ten seconds, and says that the
	// machine is off when that fails. Guests here only stop when told to.
	if os.Getenv("VCSIM_INSPECT_INTERVAL") == "" {
		settings["VCSIM_INSPECT_INTERVAL"] = "24h"
	}
	for name, value := range settings {
		if err := os.Setenv(name, value); err != nil {
			log.Print(err)
		}
	}
	return g
}

// clone adds to a clone's request what the simulator leaves out: the clone of a
// machine with a container gets a container, with the files that the source has.
func (g *guests) clone(vm *simulator.VirtualMachine, req *types.CloneVM_Task) error {
	var settings []types.BaseOptionValue
	var backed bool
	for _, option := range vm.Config.ExtraConfig {
		value := option.GetOptionValue()
		if !strings.HasPrefix(value.Key, "RUN.") {
			continue
		}
		if value.Key != simulator.ContainerBackingOptionKey {
			settings = append(settings, value)
			continue
		}
		backed = true
	}
	if !backed {
		return nil
	}
	if config := req.Spec.Config; config != nil {
		for _, option := range config.ExtraConfig {
			if option.GetOptionValue().Key == simulator.ContainerBackingOptionKey {
				return nil
			}
		}
	}

	image, err := g.freeze(vm)
	if err != nil {
		return err
	}
	if image == "" {
		// Never powered on: the clone starts from the same image.
		for _, option := range vm.Config.ExtraConfig {
			if value := option.GetOptionValue(); value.Key == simulator.ContainerBackingOptionKey {
				settings = append(settings, value)
			}
		}
	} else {
		container, err := runContainer(image)
		if err != nil {
			return err
		}
		settings = append(settings, container[0])
	}
	if req.Spec.Config == nil {
		req.Spec.Config = new(types.VirtualMachineConfigSpec)
	}
	req.Spec.Config.ExtraConfig = append(req.Spec.Config.ExtraConfig, settings...)
	return nil
}

// freeze returns an image of the machine's file system as it is now, or "" when
// the machine has no container yet.
func (g *guests) freeze(vm *simulator.VirtualMachine) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if image := g.frozen[vm.Self]; image != "" && vm.Config.Template {
		return image, nil
	}
	container, err := docker("ps", "--all", "--quiet", "--filter", "label="+label+"="+g.id, "--filter", "name="+vm.Config.Uuid)
	if err != nil || container == "" {
		return "", err
	}
	image := fmt.Sprintf("localhost/vmwbuild-vcsim/%s:%d", g.id, len(g.images))
	if _, err := docker("commit", "--quiet", "--pause=false", container, image); err != nil {
		return "", err
	}
	g.images = append(g.images, image)
	if vm.Config.Template {
		g.frozen[vm.Self] = image
	}
	return image, nil
}

// thaw forgets the image of a template that becomes a machine again.
func (g *guests) thaw(vm types.ManagedObjectReference) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.frozen, vm)
}

// remove ends this simulator's containers and removes what it made in podman.
func (g *guests) remove() {
	g.mu.Lock()
	defer g.mu.Unlock()
	removeContainers(g.id)
	// The newest first: an image that another is made from can't go.
	for i := len(g.images) - 1; i >= 0; i-- {
		if _, err := docker("rmi", "--force", g.images[i]); err != nil {
			log.Print(err)
		}
	}
	g.images = nil
}

// sweep removes what simulators left that were killed before they could.
func (g *guests) sweep() {
	list, err := docker("ps", "--all", "--filter", "label="+label, "--format", "{{index .Labels \""+label+"\"}}")
	if err != nil {
		log.Print(err)
		return
	}
	gone := make(map[string]bool)
	for _, id := range strings.Fields(list) {
		if !alive(id) {
			gone[id] = true
		}
	}
	images, err := docker("images", "--filter", "reference=localhost/vmwbuild-vcsim/*", "--format", "{{.Repository}}:{{.Tag}}")
	if err != nil {
		log.Print(err)
	}
	for id := range gone {
		removeContainers(id)
	}
	for _, image := range strings.Fields(images) {
		repository, _, _ := strings.Cut(image, ":")
		if id := repository[strings.LastIndex(repository, "/")+1:]; !alive(id) || id == g.id {
			if _, err := docker("rmi", "--force", image); err != nil {
				log.Print(err)
			}
		}
	}
}

// alive tells whether the simulator of the id still runs.
func alive(id string) bool {
	pid, err := strconv.Atoi(strings.TrimPrefix(id, "p"))
	if err != nil {
		// Not made by a simulator's start: leave it alone.
		return true
	}
	if pid == os.Getpid() {
		return false
	}
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && strings.Contains(program, "vcsim")
}

func removeContainers(id string) {
	list, err := docker("ps", "--all", "--quiet", "--filter", "label="+label+"="+id)
	if err != nil {
		log.Print(err)
		return
	}
	if containers := strings.Fields(list); len(containers) > 0 {
		if _, err := docker(append([]string{"rm", "--force", "--volumes", "--time", "0"}, containers...)...); err != nil {
			log.Print(err)
		}
	}
}

// docker runs the same command that the simulator runs.
func docker(args ...string) (string, error) {
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("docker %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
