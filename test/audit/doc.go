// Package audit is the proof that what "sallyport audit --fix" writes is a
// configuration that works: weak ones are mended and loaded into real daemons,
// and packets cross between them.
package audit
