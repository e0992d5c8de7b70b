// Command broken does not compile, in three places and two files.
package main

func main() {
	var number int = "text"
	absent(number)
	elsewhere()
}
