package eventsource

import (
	"bytes"
	"encoding/json"
	"strings"
)

// A message is one as ReceiveMessage gives it.
type message struct {
	MessageId, ReceiptHandle, Body, MD5OfBody string
	MD5OfMessageAttributes                    string
	Attributes                                map[string]string
	MessageAttributes                         map[string]struct {
		DataType    string
		StringValue *string
		BinaryValue []byte
	}
}

// A record is a message as the function gets it.
type record struct {
	MessageID              string               `json:"messageId"`
	ReceiptHandle          string               `json:"receiptHandle"`
	Body                   string               `json:"body"`
	Attributes             map[string]string    `json:"attributes"`
	MessageAttributes      map[string]attribute `json:"messageAttributes"`
	MD5OfMessageAttributes string               `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string               `json:"md5OfBody"`
	EventSource            string               `json:"eventSource"`
	EventSourceARN         string               `json:"eventSourceARN"`
	AWSRegion              string               `json:"awsRegion"`
}

// An attribute is a message attribute as the function gets it. There are no lists; SQS has them for later.
type attribute struct {
	StringValue      *string `json:"stringValue,omitempty"`
	BinaryValue      []byte  `json:"binaryValue,omitempty"`
	StringListValues [0]any  `json:"stringListValues"`
	BinaryListValues [0]any  `json:"binaryListValues"`
	DataType         string  `json:"dataType"`
}

// newRecord writes a message as a record.
func newRecord(queueARN string, m message) (json.RawMessage, error) {
	r := record{
		MessageID: m.MessageId, ReceiptHandle: m.ReceiptHandle, Body: m.Body, Attributes: m.Attributes,
		MessageAttributes: map[string]attribute{}, MD5OfMessageAttributes: m.MD5OfMessageAttributes, MD5OfBody: m.MD5OfBody,
		EventSource: "aws:sqs", EventSourceARN: queueARN, AWSRegion: strings.Split(queueARN+":::::", ":")[3],
	}
	for name, a := range m.MessageAttributes {
		r.MessageAttributes[name] = attribute{DataType: a.DataType, StringValue: a.StringValue, BinaryValue: a.BinaryValue}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(r)
	return bytes.TrimSpace(text.Bytes()), err
}

// What is around the records of an event, and between them.
const (
	eventStart, eventEnd = `{"Records":[`, `]}`
	recordSeparator      = `,`
)

// newEvent makes an event of as many records as fit into a size in bytes, and at least of the first one. It says how many they
// are.
func newEvent(records []json.RawMessage, limit int) (event []byte, count int) {
	event = []byte(eventStart)
	for count < len(records) {
		if count > 0 {
			if len(event)+len(recordSeparator)+len(records[count])+len(eventEnd) > limit {
				break
			}
			event = append(event, recordSeparator...)
		}
		event = append(event, records[count]...)
		count++
	}
	return append(event, eventEnd...), count
}
