package volumes

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func claim(name, asked string, phase core.PersistentVolumeClaimPhase) *core.PersistentVolumeClaim {
	class := "directory"
	return &core.PersistentVolumeClaim{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "ns", UID: "uid-of-claim", Annotations: map[string]string{askedOf: asked}},
		Spec:       core.PersistentVolumeClaimSpec{StorageClassName: &class},
		Status:     core.PersistentVolumeClaimStatus{Phase: phase},
	}
}

func TestOnlyOurClaimsGetAVolumeAndEachOne(t *testing.T) {
	ctx := context.Background()
	maker := Maker{client: fake.NewClientset(), dir: t.TempDir()}
	claims := []*core.PersistentVolumeClaim{
		claim("foreign", "somebody.else/driver", core.ClaimPending),
		claim("bound", Provisioner, core.ClaimBound),
	}
	if err := maker.pass(ctx, claims, nil); err != nil {
		t.Fatal(err)
	}
	list, err := maker.client.CoreV1().PersistentVolumes().List(ctx, meta.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Fatalf("volumes for claims that are not ours: %v, %v", list, err)
	}
	// The second pass comes before the first one's volume is known.
	for range 2 {
		if err := maker.pass(ctx, []*core.PersistentVolumeClaim{claim("ours", Provisioner, core.ClaimPending)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	list, err = maker.client.CoreV1().PersistentVolumes().List(ctx, meta.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("one volume is expected: %v, %v", list, err)
	}
	volume := list.Items[0]
	info, err := os.Stat(volume.Spec.HostPath.Path)
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("pods cannot write to the volume: %v, %v", info, err)
	}
	if ref := volume.Spec.ClaimRef; ref.Name != "ours" || ref.UID != "uid-of-claim" || volume.Spec.StorageClassName != "directory" {
		t.Errorf("the volume does not fit its claim: %v", volume.Spec)
	}
}

func TestVolumesGoWithTheirClaims(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	volume := func(name, by string, phase core.PersistentVolumePhase) *core.PersistentVolume {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		return &core.PersistentVolume{
			ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{madeBy: by}},
			Status:     core.PersistentVolumeStatus{Phase: phase},
		}
	}
	volumes := []*core.PersistentVolume{
		volume("released", Provisioner, core.VolumeReleased),
		volume("bound", Provisioner, core.VolumeBound),
		volume("foreign", "somebody.else/driver", core.VolumeReleased),
	}
	client := fake.NewClientset(volumes[0], volumes[1], volumes[2])
	if err := (Maker{client: client, dir: dir}).pass(ctx, nil, volumes); err != nil {
		t.Fatal(err)
	}
	list, err := client.CoreV1().PersistentVolumes().List(ctx, meta.ListOptions{})
	if err != nil || len(list.Items) != 2 {
		t.Errorf("only the released volume goes: %v, %v", list, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("only its directory goes: %v, %v", left, err)
	}
}
