// Streamlit makes a step of the browser's history of every choice that changes the address, so that Back would undo
// one choice after the other. Here a choice changes the address of its page, and only another page is a step.
{
  const push = history.pushState.bind(history);
  history.pushState = (state, unused, url) => {
    const same = url && new URL(url, location.href).pathname === location.pathname;
    (same ? history.replaceState.bind(history) : push)(state, unused, url);
  };
}
