// Package volumes makes volumes for the claims of the cluster's default StorageClass, as directories of the node:
// what a storage driver does on a cluster with more than one.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// Provisioner is the name that the StorageClass gives.
	Provisioner = "atelier.dev/directory"
	// askedOf is what the controller manager sets on a claim when it is time to make a volume for it.
	askedOf = "volume.kubernetes.io/storage-provisioner"
	// madeBy is by what a volume of ours is known.
	madeBy = "pv.kubernetes.io/provisioned-by"
	// retryPause is how long after a failure all is looked at again.
	retryPause = time.Second
)

// Maker makes volumes below a directory, and removes them with their claims.
type Maker struct {
	client kubernetes.Interface
	dir    string
}

// Run makes volumes until the process ends.
func Run(kubeconfig, dir string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("failed to read %s: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	maker := Maker{client: client, dir: dir}
	factory := informers.NewSharedInformerFactory(client, 0)
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	changed := make(chan struct{}, 1)
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		if _, err := informer.AddEventHandler(notify(changed)); err != nil {
			return fmt.Errorf("failed to watch: %w", err)
		}
	}
	ctx := context.Background()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	for range changed {
		known, err := claims.Lister().List(labels.Everything())
		if err != nil {
			return fmt.Errorf("failed to list claims: %w", err)
		}
		made, err := volumes.Lister().List(labels.Everything())
		if err != nil {
			return fmt.Errorf("failed to list volumes: %w", err)
		}
		if err := maker.pass(ctx, known, made); err != nil {
			log.Print(err)
			time.AfterFunc(retryPause, func() { signal(changed) })
		}
	}
	return nil
}

// notify wakes the loop on every change; one that has not been looked at yet stands for all.
func notify(changed chan<- struct{}) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { signal(changed) },
		UpdateFunc: func(any, any) { signal(changed) },
		DeleteFunc: func(any) { signal(changed) },
	}
}

func signal(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

// pass makes what is asked for and removes what was given back.
func (m Maker) pass(ctx context.Context, claims []*core.PersistentVolumeClaim, volumes []*core.PersistentVolume) error {
	var faults []error
	for _, claim := range claims {
		if claim.Status.Phase == core.ClaimPending && claim.Spec.VolumeName == "" && claim.Annotations[askedOf] == Provisioner {
			faults = append(faults, m.provide(ctx, claim))
		}
	}
	for _, volume := range volumes {
		if volume.Status.Phase == core.VolumeReleased && volume.Annotations[madeBy] == Provisioner {
			faults = append(faults, m.remove(ctx, volume))
		}
	}
	return errors.Join(faults...)
}

// provide makes a directory and the volume that stands for it; the controller manager binds the two.
func (m Maker) provide(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("failed to make a directory: %w", err)
	}
	// Pods have users of their own, and the kubelet changes no owner of such volumes.
	if err := os.Chmod(path, 0o777); err != nil {
		return fmt.Errorf("failed to open a directory to all: %w", err)
	}
	class := ""
	if claim.Spec.StorageClassName != nil {
		class = *claim.Spec.StorageClassName
	}
	kind := core.HostPathDirectory
	volume := &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{madeBy: Provisioner}},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      claim.Spec.Resources.Requests,
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			StorageClassName:              class,
			ClaimRef: &core.ObjectReference{
				APIVersion: "v1",
				Kind:       "PersistentVolumeClaim",
				Namespace:  claim.Namespace,
				Name:       claim.Name,
				UID:        claim.UID,
			},
			PersistentVolumeSource: core.PersistentVolumeSource{
				HostPath: &core.HostPathVolumeSource{Path: path, Type: &kind},
			},
		},
	}
	_, err := m.client.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("failed to make a volume for %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

// remove takes the directory first: the volume is the only thing that still knows of it.
func (m Maker) remove(ctx context.Context, volume *core.PersistentVolume) error {
	if err := os.RemoveAll(filepath.Join(m.dir, volume.Name)); err != nil {
		return fmt.Errorf("failed to remove a directory: %w", err)
	}
	err := m.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("failed to remove the volume %s: %w", volume.Name, err)
	}
	return nil
}
