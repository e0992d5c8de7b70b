package s3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Limits of the encoding aws-chunked, beyond which nothing is read.
const (
	maxChunkLine   = 4 << 10
	maxTrailerSize = 16 << 10
)

var (
	errMalformedTrailer = badRequest("MalformedTrailerError",
		"The request contained trailing data that was not well-formed or did not conform to our published schema.")
	errMalformedChunk = badRequest("InvalidRequest", "The body is not of the encoding aws-chunked")
)

// readChunked decodes a body of the encoding aws-chunked, whose content has size bytes. Behind the content come the
// trailers of these names, and no other but the signature of them. Signatures, those of chunks too, are passed over.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func readChunked(body io.Reader, size int64, trailers []string) (content []byte, trailer http.Header, refused *refusal) {
	reader := bufio.NewReaderSize(body, maxChunkLine)
	var buffer bytes.Buffer
	for {
		line, refused := readLine(reader)
		if refused != nil {
			return nil, nil, refused
		}
		number, _, _ := strings.Cut(line, ";") // behind which the signature is
		length, err := strconv.ParseUint(number, 16, 63)
		if err != nil {
			return nil, nil, errMalformedChunk
		}
		if length == 0 {
			break
		}
		if length > uint64(size)-uint64(buffer.Len()) {
			return nil, nil, errIncompleteBody
		}
		if _, err := io.CopyN(&buffer, reader, int64(length)); err != nil {
			return nil, nil, errIncompleteBody
		}
		if line, refused := readLine(reader); refused != nil {
			return nil, nil, refused
		} else if line != "" {
			return nil, nil, errMalformedChunk
		}
	}
	if int64(buffer.Len()) != size {
		return nil, nil, errIncompleteBody
	}
	trailer, refused = readTrailer(reader, trailers)
	return buffer.Bytes(), trailer, refused
}

// readTrailer reads what comes behind the last chunk. An empty line ends it, or the end of the body.
func readTrailer(reader *bufio.Reader, names []string) (http.Header, *refusal) {
	trailer, read := http.Header{}, 0
	for {
		line, refused := readLine(reader)
		if refused != nil && refused != errIncompleteBody {
			return nil, refused
		}
		if line == "" {
			break
		}
		name, value, isField := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if read += len(line); !isField || read > maxTrailerSize {
			return nil, errMalformedTrailer
		}
		if name == "X-Amz-Trailer-Signature" {
			continue
		}
		if !slices.Contains(names, name) || trailer.Get(name) != "" {
			return nil, errMalformedTrailer
		}
		trailer.Set(name, strings.TrimSpace(value))
	}
	for _, name := range names {
		if trailer.Get(name) == "" {
			return nil, errMalformedTrailer
		}
	}
	if _, err := reader.ReadByte(); err == nil {
		return nil, errMalformedTrailer
	}
	return trailer, nil
}

// readLine reads a line, and gives it without its end.
func readLine(reader *bufio.Reader) (string, *refusal) {
	line, err := reader.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errMalformedChunk
	case err != nil:
		return "", errIncompleteBody // for whatever reason
	}
	text, complete := strings.CutSuffix(string(line), "\r\n")
	if !complete {
		return "", errMalformedChunk
	}
	return text, nil
}
