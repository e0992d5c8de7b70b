package dynamodb

import (
	"encoding/binary"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// The limits of the number type.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
const (
	// MaxNumberDigits is the number of significant decimal digits that a number can have.
	MaxNumberDigits = 38

	// maxPoint and minPoint bound number.point: 9.99…E+125 is the largest magnitude, 1E-130 the smallest but zero.
	maxPoint = 126
	minPoint = -129
)

// A number is a decimal in normal form: 0.digits × 10^point, without leading or trailing zeros, so that two numbers
// are equal exactly if their structs are. Zero has no digits and is not negative.
type number struct {
	negative bool
	digits   string
	point    int
}

var numberSyntax = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

func parseNumber(text string) (number, error) {
	if text == "" {
		return number{}, invalid("The parameter cannot be converted to a numeric value")
	}
	if !numberSyntax.MatchString(text) {
		return number{}, invalid("The parameter cannot be converted to a numeric value: %s", text)
	}
	negative := text[0] == '-'
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimLeft(text, "+-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	point := len(whole)
	if exponent != "" {
		// An exponent too large for an int is out of range either way; so much is left after clamping.
		shift, err := strconv.Atoi(exponent)
		if err != nil {
			shift = 1 << 20
			if exponent[0] == '-' {
				shift = -shift
			}
		}
		point += shift
	}
	return normalNumber(negative, whole+fraction, point)
}

// normalNumber is 0.digits × 10^point in normal form, or the error of the limit that it breaks.
func normalNumber(negative bool, digits string, point int) (number, error) {
	trimmed := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	switch {
	case trimmed == "":
		return number{}, nil
	case len(trimmed) > MaxNumberDigits:
		return number{}, invalid("Attempting to store more than %d significant digits in a Number", MaxNumberDigits)
	case point > maxPoint:
		return number{}, invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case point < minPoint:
		return number{}, invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return number{negative: negative, digits: trimmed, point: point}, nil
}

// String writes the number as the service does: plain, without an exponent and without needless zeros.
func (n number) String() string {
	if n.digits == "" {
		return "0"
	}
	var text strings.Builder
	if n.negative {
		text.WriteByte('-')
	}
	switch length := len(n.digits); {
	case n.point <= 0:
		text.WriteString("0.")
		text.WriteString(strings.Repeat("0", -n.point))
		text.WriteString(n.digits)
	case n.point >= length:
		text.WriteString(n.digits)
		text.WriteString(strings.Repeat("0", n.point-length))
	default:
		text.WriteString(n.digits[:n.point])
		text.WriteByte('.')
		text.WriteString(n.digits[n.point:])
	}
	return text.String()
}

func (n number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

func (n number) compare(other number) int {
	if n.sign() != other.sign() {
		return n.sign() - other.sign()
	}
	difference := n.point - other.point
	if difference == 0 {
		difference = strings.Compare(n.digits, other.digits)
	}
	return difference * n.sign()
}

func (n number) negated() number {
	n.negative = !n.negative && n.digits != ""
	return n
}

// plus is exact. A sum that needs more digits than a number can have is an error, not rounded.
func (n number) plus(other number) (number, error) {
	scale := min(n.point-len(n.digits), other.point-len(other.digits))
	sum := new(big.Int).Add(n.scaled(scale), other.scaled(scale))
	digits := new(big.Int).Abs(sum).String()
	return normalNumber(sum.Sign() < 0, digits, len(digits)+scale)
}

// scaled is n / 10^scale, which has to be whole.
func (n number) scaled(scale int) *big.Int {
	if n.digits == "" {
		return new(big.Int)
	}
	value, _ := new(big.Int).SetString(n.digits+strings.Repeat("0", n.point-len(n.digits)-scale), 10)
	if n.negative {
		value.Neg(value)
	}
	return value
}

// size is what the number counts for in the size of an item: a byte for two digits, and one more; another for a sign.
func (n number) size() int {
	size := (len(n.digits)+1)/2 + 1
	if n.negative {
		size++
	}
	return size
}

// sortable encodes the number so that the order of the encodings, byte by byte, is the order of the numbers.
func (n number) sortable() []byte {
	// The sign comes first; then the magnitude, which for a negative number counts backwards. The byte after the digits
	// makes 0.1 smaller than 0.11, and is turned around with the rest.
	encoded := []byte{byte(n.sign() + 1)}
	encoded = binary.BigEndian.AppendUint16(encoded, uint16(n.point-minPoint))
	encoded = append(encoded, n.digits...)
	encoded = append(encoded, 0)
	if n.negative {
		for i := range encoded[1:] {
			encoded[i+1] = ^encoded[i+1]
		}
	}
	return encoded
}
