package main

import (
	"log"
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// hooks sees every call before the simulator carries it out.
type hooks struct {
	guests        *guests
	guestUsername string
	guestPassword string
}

// handle implements simulator.Registry.Handler: it may change the request, or
// answer with a fault.
func (h *hooks) handle(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		// The simulator refuses what needs a session.
		return nil, nil
	}
	switch req := method.Body.(type) {
	case *types.CloneVM_Task:
		if vm, ok := ctx.Map.Get(req.This).(*simulator.VirtualMachine); ok {
			if err := h.guests.clone(vm, req); err != nil {
				log.Printf("clone of %s: %v", vm.Name, err)
				return nil, &types.SystemErrorFault{Reason: err.Error()}
			}
		}
	case *types.MarkAsVirtualMachine:
		h.guests.thaw(req.This)
	}
	return nil, h.guest(ctx, method)
}

// guest checks calls to guests: the simulator takes any account, and a program
// start on a machine without a container ends its request by a panic.
func (h *hooks) guest(ctx *simulator.Context, method *simulator.Method) types.BaseMethodFault {
	body := reflect.ValueOf(method.Body).Elem()
	auth, target := body.FieldByName("Auth"), body.FieldByName("Vm")
	if !auth.IsValid() || !target.IsValid() {
		return nil
	}
	ref, ok := target.Interface().(types.ManagedObjectReference)
	if !ok {
		return nil
	}
	vm, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return &types.ManagedObjectNotFound{Obj: ref}
	}
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn,
			ExistingState:  vm.Runtime.PowerState,
		}
	}
	var backed bool
	for _, option := range vm.Config.ExtraConfig {
		backed = backed || option.GetOptionValue().Key == simulator.ContainerBackingOptionKey
	}
	if !backed {
		return new(types.GuestOperationsUnavailable)
	}
	login, ok := auth.Interface().(*types.NamePasswordAuthentication)
	if !ok || login.Username == "" || login.Password == "" {
		return new(types.InvalidGuestLogin)
	}
	if h.guestUsername != "" && login.Username != h.guestUsername {
		return new(types.InvalidGuestLogin)
	}
	if h.guestPassword != "" && login.Password != h.guestPassword {
		return new(types.InvalidGuestLogin)
	}
	return nil
}

// unlockGuestManagers lets calls to different guests run at the same time, as a
// vCenter does. The simulator would run one at a time over all machines, and
// its lock would stay held for ever after a request that panics.
func unlockGuestManagers(registry *simulator.Registry) {
	for _, manager := range registry.AllReference("GuestFileManager") {
		if m, ok := manager.(*simulator.GuestFileManager); ok {
			registry.Put(&guestFileManager{GuestFileManager: m})
		}
	}
	for _, manager := range registry.AllReference("GuestProcessManager") {
		if m, ok := manager.(*simulator.GuestProcessManager); ok {
			registry.Put(&guestProcessManager{GuestProcessManager: m})
		}
	}
}

// Objects that are a sync.Locker opt out of the simulator's own locking. Both
// managers keep no state that isn't guarded otherwise.
type guestFileManager struct{ *simulator.GuestFileManager }

func (*guestFileManager) Lock()   {}
func (*guestFileManager) Unlock() {}

type guestProcessManager struct{ *simulator.GuestProcessManager }

func (*guestProcessManager) Lock()   {}
func (*guestProcessManager) Unlock() {}
