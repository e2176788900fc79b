/** The bundled hash worker as text, inserted when the pages are built. */
declare module 'antequem:hash-worker' {
  const code: string;
  export default code;
}

/** The version of the package, inserted when the pages are built. */
declare module 'antequem:version' {
  const version: string;
  export default version;
}
