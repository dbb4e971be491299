package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// makeTemplates adds the templates that -template asked for, through the
// simulator's own API.
func makeTemplates(model *simulator.Model, o options) error {
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, model.Service)
	if err != nil {
		return err
	}
	for _, template := range o.templates {
		name, image, given := strings.Cut(template, "=")
		if !given {
			image = o.image
		}
		if err := makeTemplate(ctx, client, name, image); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func makeTemplate(ctx context.Context, client *vim25.Client, name, image string) error {
	datacenter, below := "DC0", name
	if strings.HasPrefix(name, "/") {
		parts := strings.SplitN(name[1:], "/", 3)
		if len(parts) != 3 || parts[1] != "vm" {
			return fmt.Errorf("an absolute path must look like /DC0/vm/NAME")
		}
		datacenter, below = parts[0], parts[2]
	}
	finder := find.NewFinder(client, false)
	dc, err := finder.Datacenter(ctx, datacenter)
	if err != nil {
		return err
	}
	finder.SetDatacenter(dc)
	folder, err := makeFolders(ctx, finder, dc, path.Dir(below))
	if err != nil {
		return err
	}
	source, err := finder.VirtualMachineList(ctx, datacenter+"_C0_RP*_VM0")
	if err != nil {
		return err
	}
	pool, err := source[0].ResourcePool(ctx)
	if err != nil {
		return err
	}
	container, err := runContainer(image)
	if err != nil {
		return err
	}

	ref := pool.Reference()
	task, err := source[0].Clone(ctx, folder, path.Base(below), types.VirtualMachineCloneSpec{
		Location: types.VirtualMachineRelocateSpec{Pool: &ref},
		Config:   &types.VirtualMachineConfigSpec{ExtraConfig: container},
	})
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return err
	}
	vm := object.NewVirtualMachine(client, info.Result.(types.ManagedObjectReference))
	task, err = vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{
		GuestId: string(types.VirtualMachineGuestOsIdentifierDebian12_64Guest),
	})
	if err != nil {
		return err
	}
	if err := task.Wait(ctx); err != nil {
		return err
	}
	return vm.MarkAsTemplate(ctx)
}

// makeFolders returns the folder at below, a path under the datacenter's machine
// folder, and makes what is missing of it.
func makeFolders(ctx context.Context, finder *find.Finder, dc *object.Datacenter, below string) (*object.Folder, error) {
	folders, err := dc.Folders(ctx)
	if err != nil {
		return nil, err
	}
	folder := folders.VmFolder
	for _, name := range strings.Split(below, "/") {
		if name == "." || name == "" {
			continue
		}
		next, err := finder.Folder(ctx, path.Join(folder.InventoryPath, name))
		if err != nil {
			if next, err = folder.CreateFolder(ctx, name); err != nil {
				return nil, err
			}
			next.InventoryPath = path.Join(folder.InventoryPath, name)
		}
		folder = next
	}
	return folder, nil
}

// runContainer returns the settings that make the simulator back a machine with
// a container of the image.
func runContainer(image string) ([]types.BaseOptionValue, error) {
	command, err := json.Marshal([]string{image, "sleep", "infinity"})
	if err != nil {
		return nil, err
	}
	return []types.BaseOptionValue{
		&types.OptionValue{Key: simulator.ContainerBackingOptionKey, Value: string(command)},
		&types.OptionValue{Key: "RUN.mountdmi", Value: "false"},
	}, nil
}
