// Package clients tests redisstore with the clients that its documentation names.
package clients
