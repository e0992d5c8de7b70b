package asl

import "fmt"

// UUID makes a UUID of version 4, RFC 9562 section 5.4. Random yields numbers from 0 up to 1. The UUID is for naming
// things, not for secrets.
func UUID(random func() float64) string {
	var b [16]byte
	for i := range b {
		b[i] = byte(random() * 256)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
