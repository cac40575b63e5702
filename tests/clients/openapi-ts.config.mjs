// Node runs what tsc makes of it, and Node wants extensions.
export default { input: "openapi.json", output: { path: "hey", importFileExtension: ".js" } };
