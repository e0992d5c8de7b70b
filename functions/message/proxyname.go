package message

import (
	"strconv"
	"strings"
)

// proxyPrefix starts the names of proxies.
const proxyPrefix = "proxy-"

// ProxyName is the name of the i-th proxy, counted from 1.
func ProxyName(i int) string { return proxyPrefix + strconv.Itoa(i) }

// ProxyNumber is the number in the name of a proxy, from 1. It is zero if the name is not that of a proxy.
func ProxyNumber(name string) int {
	number, found := strings.CutPrefix(name, proxyPrefix)
	i, err := strconv.Atoi(number)
	if !found || err != nil || i < 1 || ProxyName(i) != name {
		return 0
	}
	return i
}
