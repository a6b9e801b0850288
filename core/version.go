package klime

// Version is the version of this library, as it stands in context.library.
const Version = "0.1.0"
