package s3

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// getObject is GetObject and HeadObject, which differ in that net/http leaves out the body of an answer to HEAD.
func (s *Store) getObject(q *request) error {
	b, err := s.bucket(q.bucket)
	if err != nil {
		return err
	}
	if q.Header.Get("If-Range") != "" {
		return unsupported("the header field if-range")
	}
	now := s.config.Clock()
	found, chosen, content, err := b.read(q.key, now, func(there *object) (part, error) {
		if err := checkRead(q.Header, there); err != nil {
			q.w.Header().Set("ETag", `"`+there.ETag+`"`)
			q.w.Header().Set("Last-Modified", there.Modified.Format(http.TimeFormat))
			return part{}, err
		}
		return parseRange(q.Header.Get("Range"), there.Size)
	})
	if err != nil {
		return err
	}
	header := q.w.Header()
	for name, value := range found.Header {
		header.Set(name, value)
	}
	header.Set("ETag", `"`+found.ETag+`"`)
	header.Set("Last-Modified", found.Modified.Format(http.TimeFormat))
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Length", strconv.FormatInt(chosen.length, 10))
	found.Encryption.tell(header)
	b.tellExpiry(header, q.key, found)
	status := http.StatusOK
	if chosen.partial {
		status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", chosen.first, chosen.first+chosen.length-1, found.Size))
	} else if q.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		found.Checksum.tell(header)
	}
	q.w.WriteHeader(status)
	_, _ = q.w.Write(content) // a caller that is gone needs no answer
	return nil
}

// A part is one of an object's content.
type part struct {
	first, length int64
	partial       bool
}

// parseRange is the part that the header field Range asks for. What is no range of bytes, or several of them, is ignored, as
// S3 does: the whole content is the part then.
func parseRange(field string, size int64) (part, error) {
	whole := part{length: size}
	text, inBytes := strings.CutPrefix(field, "bytes=")
	from, to, isRange := strings.Cut(strings.TrimSpace(text), "-")
	if !inBytes || !isRange {
		return whole, nil
	}
	first, okFirst := position(from)
	last, okLast := position(to)
	switch {
	case !okFirst || !okLast || from == "" && to == "" || from != "" && to != "" && last < first:
		return whole, nil
	case from == "":
		first, last = max(size-last, 0), size-1
		if to == "" || first > last {
			return part{}, invalidRange(field, size)
		}
	case to == "" || last >= size:
		last = size - 1
	}
	if first >= size {
		return part{}, invalidRange(field, size)
	}
	return part{first: first, length: last - first + 1, partial: true}, nil
}

// position is a number of a range, which may be absent. One that is too large for the type is as large as that can be.
func position(text string) (int64, bool) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		n = 0
		if text != "" {
			n = 1<<63 - 1
		}
	}
	return n, true
}

func invalidRange(field string, size int64) error {
	return refusal(CodeInvalidRange, "The requested range is not satisfiable").
		with("RangeRequested", field).with("ActualObjectSize", strconv.FormatInt(size, 10))
}
