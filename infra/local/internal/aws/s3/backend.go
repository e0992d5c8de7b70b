package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"

	"github.com/rclone/gofakes3"
)

// A backend is a store as gofakes3 wants it. What [Store.ServeHTTP] lets nobody ask for, it refuses.
type backend struct{ store *Store }

var _ gofakes3.Backend = backend{}

func (k backend) ListBuckets(context.Context) ([]gofakes3.BucketInfo, error) {
	var listed []gofakes3.BucketInfo
	for _, name := range k.store.BucketNames() {
		b, err := k.store.bucket(name)
		if err != nil {
			return nil, err
		}
		listed = append(listed, gofakes3.BucketInfo{Name: name, CreationDate: gofakes3.NewContentTime(b.created)})
	}
	return listed, nil
}

func (k backend) BucketExists(_ context.Context, name string) (bool, error) {
	_, err := k.store.bucket(name)
	return err == nil, nil
}

func (k backend) ListBucket(
	_ context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage,
) (*gofakes3.ObjectList, error) {
	b, err := k.store.bucket(name)
	if err != nil {
		return nil, err
	}
	listed, last, more := b.list(prefix.Prefix, prefix.Delimiter, page.Marker, page.MaxKeys, k.store.config.Clock())
	list := gofakes3.NewObjectList()
	for _, line := range listed {
		if line.object == nil {
			list.AddPrefix(line.key)
			continue
		}
		list.Add(&gofakes3.Content{
			Key: line.key, LastModified: gofakes3.NewContentTime(line.Modified), ETag: `"` + hex.EncodeToString(line.MD5) + `"`,
			Size: line.Size, StorageClass: gofakes3.StorageStandard,
		})
	}
	if list.IsTruncated = more; more {
		list.NextMarker = last
	}
	return list, nil
}

func (k backend) PutObject(
	ctx context.Context, name, key string, metadata map[string]string, input io.Reader, size int64,
) (gofakes3.PutObjectResult, error) {
	b, err := k.store.bucket(name)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	// Digests are verified while the content is read.
	content, err := gofakes3.ReadAll(input, size)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	sum := md5.Sum(content)
	added := &object{Size: int64(len(content)), MD5: sum[:], Modified: k.store.config.Clock().UTC(), Metadata: metadata}
	return gofakes3.PutObjectResult{}, b.put(key, added, content, func(there *object) error {
		if there == nil {
			return gofakes3.CheckWriteConditions(ctx, false, "")
		}
		return gofakes3.CheckWriteConditions(ctx, true, hex.EncodeToString(there.MD5))
	})
}

func (k backend) GetObject(_ context.Context, name, key string, wanted *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	return k.read(name, key, func(there *object) (*gofakes3.ObjectRange, int64, error) {
		part, err := wanted.Range(there.Size)
		if part == nil || err != nil {
			return nil, there.Size, err
		}
		return part, part.Length, nil
	})
}

func (k backend) HeadObject(_ context.Context, name, key string) (*gofakes3.Object, error) {
	return k.read(name, key, func(*object) (*gofakes3.ObjectRange, int64, error) { return nil, 0, nil })
}

// read gives an object with the part of its content that choose says, and the length of that.
func (k backend) read(name, key string, choose func(*object) (*gofakes3.ObjectRange, int64, error)) (*gofakes3.Object, error) {
	b, err := k.store.bucket(name)
	if err != nil {
		return nil, err
	}
	var part *gofakes3.ObjectRange
	found, content, err := b.read(key, k.store.config.Clock(), func(there *object) (first, length int64, err error) {
		if part, length, err = choose(there); part != nil {
			first = part.Start
		}
		return first, length, err
	})
	if err != nil {
		return nil, err
	}
	return &gofakes3.Object{
		Name: key, Metadata: found.Metadata, Size: found.Size, Hash: found.MD5,
		Range: part, Contents: io.NopCloser(bytes.NewReader(content)),
	}, nil
}

func (k backend) DeleteObject(_ context.Context, name, key string) (gofakes3.ObjectDeleteResult, error) {
	b, err := k.store.bucket(name)
	if err != nil {
		return gofakes3.ObjectDeleteResult{}, err
	}
	return gofakes3.ObjectDeleteResult{}, b.remove(key)
}

func (backend) CreateBucket(context.Context, string) error { return gofakes3.ErrNotImplemented }

func (backend) DeleteBucket(context.Context, string) error { return gofakes3.ErrNotImplemented }

func (backend) DeleteMulti(context.Context, string, ...string) (gofakes3.MultiDeleteResult, error) {
	return gofakes3.MultiDeleteResult{}, gofakes3.ErrNotImplemented
}

func (backend) CopyObject(context.Context, string, string, string, string, map[string]string) (gofakes3.CopyObjectResult, error) {
	return gofakes3.CopyObjectResult{}, gofakes3.ErrNotImplemented
}
