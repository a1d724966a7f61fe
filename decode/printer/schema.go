package printer

import _ "embed"

// Schema is the JSON Schema of what a JSON prints, a definition for each "type".
//
//go:embed schema.json
var Schema []byte
