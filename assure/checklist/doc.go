// Package checklist answers the operator's checklist, C1 to C8 of docs/threats.md,
// for a gateway that runs: from what it does at this moment, from its
// configuration, and from the audit of it.
//
// Each item is ok, a problem, not met yet by what the product can do, or not
// assessable, with the figures that this rests on, what to do, and since when it
// is so. Nothing is ok for want of a look.
package checklist
