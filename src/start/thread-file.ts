/** The file that a thread runs. @param name of a file beside this one, without its ending: a package has it compiled */
export function threadFile(name: string): URL {
  return new URL(`./${name}.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);
}
