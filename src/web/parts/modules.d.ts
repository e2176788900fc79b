/** The bundled hash worker as text, inserted when the pages are built. */
declare module 'antequem:hash-worker' {
  const code: string;
  export default code;
}
